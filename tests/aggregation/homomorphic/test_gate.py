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
from securefed.aggregation.refusals import BadSignature, InconsistentSum, PolicyViolation, Replay, WrongContext
from securefed.aggregation.wire import Kind
from securefed.errors import ConfigError, OutOfTurn, ThresholdError
from securefed.rng import secure
from tests.aggregation.cohorts import context, parameters
from tests.aggregation.homomorphic.parties import Parties


def later(parties: Parties, round_: int, model: bytes) -> Parties:
    public = dataclasses.replace(parties.public, context=context(round=round_, model=model))
    return Parties(public, parties.scheme, members=parties.members, decryptor=parties.decryptor)


def finish(parties: Parties) -> bytes:
    return parties.gathered().close()[1]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_the_floor_are_not_decrypted(count):
    parties = Parties(parameters(4, threshold=2))
    parties.announced()
    releasing = parties.releasing()
    for place in range(count):
        releasing.add(releasing.read(place, parties.answer(place)))
    with pytest.raises(ThresholdError):
        parties.decryptor.release(parties.session, parties.release(count, releasing.sum.total))


def test_a_cohort_below_the_floor_gets_no_key():
    members = Federation.throwaway(("client-000", "client-001", "client-002"), rng=secure())
    decryptor = Decryptor.throwaway(members.roster, rng=secure(), minimum_cohort=4)
    with pytest.raises(PolicyViolation):
        Parties(parameters(3), members=members, decryptor=decryptor).announced()


@pytest.mark.parametrize(("floor", "budget"), [(1, 1), (0, 1), (2, 0)])
def test_no_floor_below_two_clients_and_no_budget_below_one_sum(floor, budget):
    members = Federation.throwaway(("client-000", "client-001"), rng=secure())
    with pytest.raises(ConfigError):
        Decryptor(Identity("decryptor", bytes(32)), members.roster, rng=secure(), minimum_cohort=floor, budget=budget)


def test_a_second_release_in_a_context_is_refused():
    parties = Parties()
    finish(parties)
    with pytest.raises(Replay):
        parties.decryptor.release(parties.session, parties.release(4, parties.session.ring.data.zeros(1)))
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
        restarted = Decryptor(identity, parties.members.roster, rng=secure(), journal=journal)
        again = Parties(parties.public, members=parties.members, decryptor=restarted)
        if expected is None:
            finish(again)
        else:
            with pytest.raises(expected):
                again.announced()
        journal.close()


def test_bodies_and_openers_are_of_the_same_clients():
    parties = Parties()
    total = parties.gathered().sum.total
    with pytest.raises(InconsistentSum, match="openers"):
        parties.decryptor.release(parties.session, parties.release(3, total))
    assert parties.decryptor.release(parties.session, parties.release(4, total))


def test_nobody_but_the_server_asks_for_a_release():
    parties = Parties()
    asked = parties.release(4, parties.gathered().sum.total)
    session, places = parties.session, {"sender": parties.session.server, "receiver": parties.session.decrypting}
    payload = session.read(Kind.RELEASE, asked, **places)
    forged = session.write(Kind.RELEASE, [payload], by=parties.members.clients["client-000"], **places)
    with pytest.raises(BadSignature):
        parties.decryptor.release(session, forged)


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
            HomomorphicSum(parameters(3), members, decryptor=Decryptor(party, members.roster, rng=secure()))


def fingerprints(budget: int) -> list[bytes]:
    parties = Parties()
    decryptor = Decryptor(Identity("decryptor", bytes(32)), parties.members.roster, rng=secure(), budget=budget)
    rounds = [later(dataclasses.replace(parties, decryptor=decryptor), n, bytes(31) + bytes([n])) for n in range(4)]
    return [one.releasing().fingerprint for one in rounds]


def test_keys_rotate_after_their_budget():
    one, two, three, four = fingerprints(2)
    assert one == two != three == four
    assert len(set(fingerprints(1))) == 4


def spoilt(scheme: str, how: str, budget: int = 1) -> tuple[Parties, np.ndarray]:
    """An honest sum whose bodies a lying server shifts: beyond the plan's noise, or beyond its limit."""
    members = Federation.throwaway(parameters(4).cohort, rng=secure())
    decryptor = Decryptor(Identity("decryptor", bytes(32)), members.roster, rng=secure(), budget=budget)
    parties = Parties(parameters(4, dim=10, bits=20, limit=1000), scheme, members=members, decryptor=decryptor)
    for vector in parties.inputs.values():
        vector[:] = 1
    bodies, encryption = parties.gathered().sum.total, parties.session.ring.encryption
    shift = {"noise": encryption.unit // 4, "content": 5_000 * encryption.unit}[how]
    for at, prime in enumerate(parties.session.ring.data.primes):
        bodies[0, at, 0] = (int(bodies[0, at, 0]) + shift) % prime
    return parties, bodies


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_a_failed_decryption_says_nothing_of_noise_or_content(scheme):
    said = set()
    for how in ("noise", "content"):
        parties, bodies = spoilt(scheme, how)
        with pytest.raises(InconsistentSum) as caught:
            parties.decryptor.release(parties.session, parties.release(4, bodies))
        said.add(str(caught.value))
        assert caught.value.__cause__ is None
    assert len(said) == 1


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_a_key_under_which_a_sum_failed_is_used_no_more(scheme):
    parties, bodies = spoilt(scheme, "noise", budget=5)
    other = later(parties, 1, bytes(31) + b"1")
    other.inputs = parties.inputs
    waiting = other.gathered()
    with pytest.raises(InconsistentSum):
        parties.decryptor.release(parties.session, parties.release(4, bodies))
    with pytest.raises(OutOfTurn):
        waiting.close()
    assert later(parties, 2, bytes(31) + b"2").releasing().fingerprint != waiting.fingerprint
    with pytest.raises(Replay):
        parties.decryptor.release(parties.session, parties.release(4, bodies))


def test_no_secret_key_is_written_down():
    decryptor = Parties().decryptor
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(decryptor)
