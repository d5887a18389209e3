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
from securefed.aggregation.openers import SealedOpeners
from securefed.aggregation.refusals import (
    BadBox,
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


def refuses(refusal: type[ProtocolError], answer: bytes, place: int = 0, parties: Parties = PARTIES) -> None:
    """The server refuses."""
    with pytest.raises(refusal):
        parties.releasing().read(place, answer)


def declines(refusal: type[ProtocolError], frame: bytes, place: int = 0, parties: Parties = PARTIES) -> None:
    """The decryptor refuses."""
    parties.announced()
    with pytest.raises(refusal):
        parties.decryptor.take(parties.session, place, frame)


def cut(answer: bytes) -> tuple[bytes, bytes]:
    """The frames of an answer: for the server, and for the decryptor."""
    size = PARTIES.session.frame_size(Kind.ENCRYPTED)
    return answer[:size], answer[size:]


def payload(packed: bytes, key: bytes | None = None, voucher: bytes = b"") -> bytes:
    return encode([], [key or PARTIES.releasing().fingerprint, voucher, packed])


def uniform(parties: Parties) -> np.ndarray:
    """Polynomials of one plaintext."""
    shape = parties.session.ring.data.zeros(1).shape
    return (secure().uint64(int(np.prod(shape))) % np.uint64(min(parties.session.ring.data.primes))).reshape(shape)


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: b"", lambda data: data * 2]
)
def test_truncated_and_oversized_ciphertexts_are_refused(change):
    refuses(Malformed, change(FIRST))
    refuses(Malformed, change(FIRST[: len(cut(FIRST)[0])]) + cut(FIRST)[1])
    declines(Malformed, change(cut(FIRST)[1]))


def test_a_ciphertext_counts_once():
    parties = Parties()
    answer, releasing = parties.answer(0), parties.releasing()
    releasing.add(releasing.read(0, answer))
    for again in (answer, parties.answer(0)):
        with pytest.raises(Replay):
            releasing.read(0, again)
        declines(Replay, cut(again)[1], parties=parties)


def test_a_ciphertext_of_one_client_is_not_anothers():
    refuses(WrongSender, FIRST, place=1)
    declines(WrongSender, cut(FIRST)[1], place=1)


def test_an_unsigned_ciphertext_is_refused():
    frames = cut(FIRST)
    for changed in (0, 1):
        frame = bytearray(frames[changed])
        frame[len(frame) // 2] ^= 1
        refuses(BadSignature, bytes(frame) + frames[1] if changed == 0 else frames[0] + bytes(frame))
    declines(BadSignature, bytes(frame))


@pytest.mark.parametrize("changes", [{"round": 1}, {"model": bytes(31) + b"1"}, {"attempt": 1}, {"task": "other"}])
def test_stale_and_foreign_ciphertexts_are_refused(changes):
    other = Parties(
        dataclasses.replace(PARTIES.public, context=context(**changes)),
        members=PARTIES.members,
    )
    refuses(WrongContext, other.answer(0))
    refuses(WrongContext, cut(FIRST)[0] + cut(other.answer(0))[1])
    declines(WrongContext, cut(other.answer(0))[1])


def test_a_ciphertext_under_another_key_is_refused():
    packed, openers = bytes(PARTIES.session.half), cut(FIRST)[1]
    refuses(WrongContext, PARTIES.signed(0, payload(packed, key=hashlib.sha256().digest())) + openers)
    foreign = encode([], [bytes(32), bytes(32), bytes(32), bytes(PARTIES.session.half + 16)])
    refuses(WrongContext, cut(FIRST)[0] + PARTIES.signed(0, foreign, Kind.OPENERS))
    declines(WrongContext, PARTIES.signed(0, foreign, Kind.OPENERS))


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_transparent_ciphertexts_are_refused(scheme):
    """The decryptor sees them: the server adds no body whose opener was refused."""
    parties = Parties(scheme=scheme)
    openers = uniform(parties)
    openers[0, -1] = 0
    releasing = parties.releasing()
    with pytest.raises(Transparent):
        releasing.add(releasing.read(0, parties.made_up(0, uniform(parties), openers)))
    assert releasing.sum.places == ()


def test_numbers_beyond_their_prime_are_refused():
    beyond = uniform(PARTIES)
    beyond[0, 0, 7] = PARTIES.session.ring.prime
    refuses(Malformed, PARTIES.made_up(0, beyond, uniform(PARTIES)))
    declines(Malformed, cut(PARTIES.made_up(0, uniform(PARTIES), beyond))[1])


def test_a_rightly_signed_payload_of_another_length_is_refused():
    openers, half = cut(FIRST)[1], PARTIES.session.half
    refuses(Malformed, PARTIES.signed(0, payload(bytes(100))) + openers)
    refuses(Malformed, PARTIES.signed(0, payload(bytes(half - 10), voucher=bytes(10))) + openers)
    bodies = uniform(PARTIES)
    declines(Malformed, cut(PARTIES.made_up(0, bodies, bodies[:, :, :100]))[1])


def test_openers_of_other_bodies_are_refused():
    """Two encryptions by one client: the bodies of one and the openers of the other make noise of the whole sum."""
    refuses(BadBox, cut(FIRST)[0] + cut(PARTIES.answer(0))[1])


def replaced(**changes: bytes) -> bytes:
    """An OPENERS frame of client 0 whose box was made for something else, rightly signed."""
    fingerprint = PARTIES.releasing().fingerprint
    sealed = SealedOpeners.read(PARTIES.session, 0, cut(FIRST)[1], fingerprint=fingerprint)
    return dataclasses.replace(sealed, **changes).write(PARTIES.session, 0, by=PARTIES.members.clients["client-000"])


@pytest.mark.parametrize("changes", [{"bodies": bytes(32)}, {"sender": (9).to_bytes(32, "little")}])
def test_a_box_opens_with_its_own_bodies_and_key_only(changes):
    declines(BadBox, replaced(**changes))


def test_a_box_of_another_client_or_sum_does_not_open():
    """A client that signs the box of another as its own would have the other's openers count twice."""
    other = Parties(
        dataclasses.replace(PARTIES.public, context=context(round=1)),
        members=PARTIES.members,
        decryptor=PARTIES.decryptor,
    )
    key = PARTIES.decryptor._open[PARTIES.session.context].key
    for session, place in ((PARTIES.session, 1), (other.session, 0)):
        sealed = SealedOpeners.read(PARTIES.session, 0, cut(FIRST)[1], fingerprint=key.fingerprint)
        with pytest.raises(BadBox):
            sealed.open(session, place, key.box)
    assert sealed.open(PARTIES.session, 0, key.box)


def test_a_box_with_an_unusable_key_is_refused():
    declines(Malformed, replaced(sender=bytes(32)))


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
        for read in (lambda: releasing.add(releasing.read(0, bad)), lambda: client.answer(bad)):
            with pytest.raises(ProtocolError):
                read()


def test_members_of_two_federations_do_not_mix():
    other = Parties(PARTIES.public, members=Federation.throwaway(PARTIES.public.cohort, rng=secure()))
    refuses(WrongContext, other.answer(0))
