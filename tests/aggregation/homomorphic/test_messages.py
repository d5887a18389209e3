"""What a party sends is signed, of one size and checked number by number before TenSEAL sees any of it."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.identity import Federation
from securefed.aggregation.refusals import (
    BadSignature,
    Malformed,
    Replay,
    Transparent,
    WrongContext,
    WrongSender,
)
from securefed.aggregation.seal import Ring
from securefed.aggregation.wire import Kind, encode
from securefed.errors import OutOfTurn, ProtocolError
from securefed.rng import secure
from tests.aggregation.cohorts import Run, context, parameters, vectors
from tests.aggregation.homomorphic.parties import Parties

PARTIES = Parties()
FIRST = PARTIES.answer(0)


def fingerprint(parties: Parties) -> bytes:
    return parties.releasing().sum._fingerprint


def payload(parties: Parties, residues: np.ndarray, **changes: bytes) -> bytes:
    packed = bytes(parties.session.ring.data.pack(residues))
    return encode([], [changes.get("key", fingerprint(parties)), changes.get("voucher", b""), packed])


def refuses(refusal: type[ProtocolError], frame: bytes, place: int = 0, parties: Parties = PARTIES) -> None:
    """Both who adds and who decrypts refuse."""
    with pytest.raises(refusal):
        parties.releasing().sum.take(place, frame)
    parties.announced()
    with pytest.raises(refusal):
        parties.decryptor.take(parties.session, place, frame)


def uniform(parties: Parties) -> np.ndarray:
    shape = parties.session.ring.data.shape
    return (secure().uint64(int(np.prod(shape))) % np.uint64(parties.session.ring.prime)).reshape(shape)


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: b"", lambda data: data * 2]
)
def test_truncated_and_oversized_ciphertexts_are_refused(change):
    refuses(Malformed, change(FIRST))


def test_a_ciphertext_counts_once():
    parties = Parties()
    answer, releasing = parties.answer(0), parties.releasing()
    releasing.take(0, answer)
    for again in (answer, parties.answer(0)):
        with pytest.raises(Replay):
            releasing.take(0, again)


def test_a_ciphertext_of_one_client_is_not_anothers():
    refuses(WrongSender, FIRST, place=1)


def test_an_unsigned_ciphertext_is_refused():
    frame = bytearray(FIRST)
    frame[len(frame) // 2] ^= 1
    refuses(BadSignature, bytes(frame))


@pytest.mark.parametrize("changes", [{"round": 1}, {"model": bytes(31) + b"1"}, {"attempt": 1}, {"task": "other"}])
def test_stale_and_foreign_ciphertexts_are_refused(changes):
    other = Parties(
        dataclasses.replace(PARTIES.public, context=context(**changes)),
        members=PARTIES.members,
    )
    refuses(WrongContext, other.answer(0))


def test_a_ciphertext_under_another_key_is_refused():
    refuses(WrongContext, PARTIES.signed(0, payload(PARTIES, uniform(PARTIES), key=hashlib.sha256().digest())))


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_transparent_ciphertexts_are_refused(scheme):
    parties = Parties(scheme=scheme)
    residues = uniform(parties) % np.uint64(2**20)
    residues[1, -1] = 0
    refuses(Transparent, parties.signed(0, payload(parties, residues)), parties=parties)


def test_numbers_beyond_their_prime_are_refused():
    residues = uniform(PARTIES)
    residues[0, 0, 7] = PARTIES.session.ring.prime
    refuses(Malformed, PARTIES.signed(0, payload(PARTIES, residues)))


def test_a_rightly_signed_payload_of_another_length_is_refused():
    refuses(Malformed, PARTIES.signed(0, encode([], [fingerprint(PARTIES), b"", bytes(100)])))
    refuses(Malformed, PARTIES.signed(0, payload(PARTIES, uniform(PARTIES), voucher=bytes(10))))


def test_a_bad_answer_costs_its_sender_only():
    public = parameters(5)
    run = Run(HomomorphicSum(public), vectors(public))
    request = run.server.requests()["client-000"]
    answers = {name: client.answer(request) for name, client in run.clients.items()}
    answers["client-003"] = answers["client-003"][: len(answers["client-003"]) // 2] + bytes(10)
    run.server.collect(answers)
    assert "client-003" not in run.server.survivors
    assert list(run.server.refusals) == ["client-003"]
    assert "Malformed" in run.server.refusals["client-003"]


def test_a_client_answers_once_and_forgets_its_vector():
    client = PARTIES.sum.client("client-000", PARTIES.inputs["client-000"], rng=secure())
    client.answer(PARTIES.announced())
    with pytest.raises(OutOfTurn):
        client.answer(PARTIES.announced())
    assert client._vector is None


def test_a_client_encrypts_under_the_decryptors_key_only():
    """A server that swaps the key for its own would read everything."""
    other = Parties(PARTIES.public, members=PARTIES.members)
    client = PARTIES.sum.client("client-000", PARTIES.inputs["client-000"], rng=secure())
    with pytest.raises((WrongContext, BadSignature)):
        client.answer(other.announced())


def test_a_key_signed_by_the_server_is_refused():
    session = PARTIES.session
    good = session.read(Kind.PUBLIC_KEY, PARTIES.announced(), sender=session.decrypting, receiver=session.server)
    places = {"sender": session.decrypting, "receiver": session.server}
    forged = session.write(Kind.PUBLIC_KEY, [good], by=PARTIES.members.server, **places)
    client = PARTIES.sum.client("client-000", PARTIES.inputs["client-000"], rng=secure())
    with pytest.raises(BadSignature):
        client.answer(forged)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_fuzzed_messages_never_reach_tenseal(data, monkeypatch):
    def parsed(*arguments, **options):
        raise AssertionError("TenSEAL was given bytes of somebody else")

    good = data.draw(st.sampled_from([FIRST, PARTIES.announced()]))
    kind = data.draw(st.sampled_from(["flip", "cut", "random", "grow"]))
    place = data.draw(st.integers(0, 2**32)) % len(good)
    if kind == "flip":
        bad = good[:place] + bytes([good[place] ^ data.draw(st.integers(1, 255))]) + good[place + 1 :]
    else:
        bad = {"cut": good[:place], "grow": good + bytes(place % 99 + 1), "random": data.draw(st.binary())}[kind]
    client = PARTIES.sum.client("client-000", PARTIES.inputs["client-000"], rng=secure())
    releasing = PARTIES.releasing()
    with monkeypatch.context() as patched:
        patched.setattr(Ring, "load", parsed)
        for read in (lambda: releasing.sum.take(0, bad), lambda: client.answer(bad)):
            with pytest.raises(ProtocolError):
                read()


def test_members_of_two_federations_do_not_mix():
    other = Parties(PARTIES.public, members=Federation.throwaway(PARTIES.public.cohort, rng=secure()))
    refuses(WrongContext, other.answer(0))
