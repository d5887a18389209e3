"""The decryptor decrypts one sum in one context, from enough signed ciphertexts that it added itself."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.identity import Federation, Identity
from securefed.aggregation.journal import Journal
from securefed.aggregation.refusals import InconsistentSum, PolicyViolation, Replay, WrongContext
from securefed.aggregation.wire import Kind, encode
from securefed.errors import ConfigError, OutOfTurn, ThresholdError
from securefed.rng import secure
from tests.aggregation.cohorts import context, parameters
from tests.aggregation.homomorphic.parties import Parties


def request(parties: Parties, bitmap: int, digest: bytes) -> bytes:
    session = parties.session
    payload = encode([], [bitmap.to_bytes(1, "little"), digest])
    places = {"sender": session.server, "receiver": session.decrypting}
    return session.write(Kind.RELEASE, [payload], by=parties.members.server, **places)


def later(parties: Parties, round_: int, model: bytes) -> Parties:
    public = dataclasses.replace(parties.public, context=context(round=round_, model=model))
    return Parties(public, members=parties.members, decryptor=parties.decryptor)


def finish(parties: Parties) -> bytes:
    releasing = parties.releasing()
    for place in range(4):
        releasing.take(place, parties.answer(place))
    return releasing.close()[1]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_the_floor_are_not_decrypted(count):
    parties = Parties(parameters(4, threshold=2))
    parties.announced()
    for place in range(count):
        parties.decryptor.take(parties.session, place, parties.answer(place))
    releasing = parties.releasing()
    with pytest.raises(ThresholdError):
        parties.decryptor.release(parties.session, request(parties, 2**count - 1, releasing.sum.digest))


def test_a_cohort_below_the_floor_gets_no_key():
    members = Federation.throwaway(("client-000", "client-001", "client-002"), rng=secure())
    decryptor = Decryptor.throwaway(members.roster, rng=secure(), minimum_cohort=4)
    with pytest.raises(PolicyViolation):
        Parties(parameters(3), members=members, decryptor=decryptor).announced()


@pytest.mark.parametrize(("floor", "budget"), [(1, 1), (0, 1), (2, 0)])
def test_no_floor_below_two_clients_and_no_budget_below_one_sum(floor, budget):
    members = Federation.throwaway(("client-000", "client-001"), rng=secure())
    with pytest.raises(ConfigError):
        Decryptor(Identity("decryptor", bytes(32)), members.roster, minimum_cohort=floor, budget=budget)


def test_a_second_release_in_a_context_is_refused():
    parties = Parties()
    finish(parties)
    with pytest.raises(Replay):
        parties.decryptor.release(parties.session, request(parties, 15, bytes(32)))
    with pytest.raises(Replay):
        parties.decryptor.take(parties.session, 0, b"")
    with pytest.raises(Replay):
        parties.announced()


def test_a_model_has_one_release_whatever_the_attempt_and_cohort():
    """Two sums for one model differ by one client: the difference is its vector."""
    parties = Parties()
    finish(parties)
    with pytest.raises(Replay, match="model"):
        later(parties, 1, parties.public.context.model).announced()


def test_rounds_only_go_up():
    parties = Parties(dataclasses.replace(parameters(4), context=context(round=5)))
    parties.announced()
    with pytest.raises(Replay, match="round 4"):
        later(parties, 4, bytes(31) + b"1").announced()


def test_what_was_released_is_remembered_across_restarts(tmp_path):
    parties = Parties()
    identity = Identity("decryptor", bytes(32))
    for expected in (None, Replay):
        journal = Journal(tmp_path / "journal")
        restarted = Decryptor(identity, parties.members.roster, journal=journal)
        again = Parties(parties.public, members=parties.members, decryptor=restarted)
        if expected is None:
            finish(again)
        else:
            with pytest.raises(expected):
                again.announced()
        journal.close()


def test_the_aggregators_sum_must_be_that_of_the_signed_ciphertexts():
    for bitmap, digest in ((15, bytes(32)), (7, None)):
        parties = Parties()
        releasing = parties.releasing()
        for place in range(4):
            releasing.take(place, parties.answer(place))
        with pytest.raises(InconsistentSum, match="signed"):
            asked = request(parties, bitmap, releasing.sum.digest if digest is None else digest)
            parties.decryptor.release(parties.session, asked)


def test_nobody_but_the_server_asks_for_a_release():
    parties = Parties()
    releasing = parties.releasing()
    for place in range(4):
        releasing.take(place, parties.answer(place))
    forged = parties.members.clients["client-000"]
    payload = encode([], [b"\x0f", releasing.sum.digest])
    places = {"sender": parties.session.server, "receiver": parties.session.decrypting}
    asked = parties.session.write(Kind.RELEASE, [payload], by=forged, **places)
    with pytest.raises(Exception, match="signature"):
        parties.decryptor.release(parties.session, asked)


def test_without_a_key_given_out_there_is_nothing_to_release():
    parties = Parties()
    with pytest.raises(OutOfTurn):
        parties.decryptor.release(parties.session, b"")


def test_a_sum_for_another_decryptor_is_refused():
    parties = Parties()
    other = Decryptor.throwaway(parties.members.roster, rng=secure())
    with pytest.raises(WrongContext):
        other.public_key(parties.session)


def test_the_decryptor_is_neither_server_nor_client():
    members = Federation.throwaway(("client-000", "client-001", "client-002"), rng=secure())
    for party in (members.server, members.clients["client-001"]):
        with pytest.raises(ConfigError, match="of its own"):
            HomomorphicSum(parameters(3), members, decryptor=Decryptor(party, members.roster))


def fingerprints(budget: int) -> list[bytes]:
    parties = Parties()
    decryptor = Decryptor(Identity("decryptor", bytes(32)), parties.members.roster, budget=budget)
    rounds = [later(dataclasses.replace(parties, decryptor=decryptor), n, bytes(31) + bytes([n])) for n in range(4)]
    return [one.releasing().sum._fingerprint for one in rounds]


def test_keys_rotate_after_their_budget():
    one, two, three, four = fingerprints(2)
    assert one == two != three == four
    assert len(set(fingerprints(1))) == 4


def test_a_failed_decryption_says_nothing_of_noise_or_content():
    """Two ciphertexts of one client's making: one beyond the lanes, one with noise beyond the plan; one answer."""
    said = set()
    for spoil in ("noise", "content"):
        parties = Parties(parameters(4, dim=10, bits=20, limit=1000))
        session, releasing = parties.session, parties.releasing()
        scale = 1 << session.encryption.plain_bits
        for place in range(4):
            parties.inputs[parties.public.cohort[place]][:] = 1
            releasing.take(place, parties.answer(place))
        opened = parties.decryptor._open[session.context].sum
        shift = np.uint64(scale // 2 if spoil == "noise" else 5_000 * scale)
        for total in (opened.total, releasing.sum.total):
            total[0, 0, 0, 0] = (total[0, 0, 0, 0] + shift) % np.uint64(session.ring.prime)
        with pytest.raises(InconsistentSum) as caught:
            releasing.close()
        said.add(str(caught.value))
        assert caught.value.__cause__ is None
    assert len(said) == 1


def test_no_secret_key_is_written_down():
    decryptor = Parties().decryptor
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(decryptor)
