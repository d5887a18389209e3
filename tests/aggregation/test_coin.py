"""A coin that nobody chooses, and the groups that follow from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefed.aggregation.coin import NONCE, Tosser, toss
from securefed.aggregation.groups import Groups
from securefed.aggregation.refusals import Replay
from securefed.errors import ConfigError, OutOfTurn, ProtocolError
from securefed.rng import secure, seeded

NAMES = tuple(f"client-{place:02d}" for place in range(12))
CONTEXT = bytes(32)


def tossers(names=NAMES, *, seed=0, context=CONTEXT):
    return {name: Tosser(name, context, rng=seeded(seed, name)) for name in names}


def test_everybody_comes_to_the_same_coin_and_every_nonce_and_context_changes_it():
    coin = toss(tossers())
    one_other = {**tossers(), NAMES[3]: Tosser(NAMES[3], CONTEXT, rng=secure())}

    assert coin == toss(tossers())
    assert len({coin, toss(one_other), toss(tossers(context=bytes([1]) * 32)), toss(tossers(NAMES[:-1]))}) == 4


def test_a_commitment_hides_its_nonce_from_whoever_does_not_know_it_and_binds_to_name_and_context():
    rng = seeded(1).bytes(NONCE)

    class Same:
        is_secret = False

        def bytes(self, count):
            return rng[:count]

    commitments = {Tosser(name, context, rng=Same()).commitment for name in NAMES for context in (CONTEXT, rng)}
    assert len(commitments) == 2 * len(NAMES)
    assert not any(rng in commitment for commitment in commitments)


def test_a_nonce_stays_closed_until_its_own_commitment_is_in_the_list():
    all_of_them = tossers()
    commitments = {name: each.commitment for name, each in all_of_them.items()}
    one = all_of_them[NAMES[0]]

    for wrong in ({}, {**commitments, NAMES[0]: commitments[NAMES[1]]}):
        with pytest.raises(ProtocolError, match="do not hold its own"):
            one.open(wrong)
    with pytest.raises(OutOfTurn):
        one.coin({})
    one.open(commitments)


def test_a_client_opens_once():
    all_of_them = tossers()
    commitments = {name: each.commitment for name, each in all_of_them.items()}
    one = all_of_them[NAMES[0]]
    one.open(commitments)
    others = {**commitments, NAMES[1]: bytes(32)}

    with pytest.raises(Replay):
        one.open(others)


@pytest.mark.parametrize("opened", [None, bytes(NONCE), b""])
def test_a_toss_in_which_somebody_opens_something_else_or_nothing_is_void(opened):
    all_of_them = tossers()
    commitments = {name: each.commitment for name, each in all_of_them.items()}
    nonces = {name: each.open(commitments) for name, each in all_of_them.items()}
    if opened is None:
        del nonces[NAMES[5]]
    else:
        nonces[NAMES[5]] = opened

    with pytest.raises(ProtocolError, match="'client-05' did not open"):
        all_of_them[NAMES[0]].coin(nonces)


def test_clients_that_were_shown_other_commitments_come_to_other_coins():
    honest, changed = tossers(), tossers()
    changed[NAMES[1]] = Tosser(NAMES[1], CONTEXT, rng=seeded(9))

    assert toss(honest) != toss(changed)


@given(clients=st.integers(3, 60), size=st.integers(3, 10), coin=st.binary(min_size=32, max_size=32))
def test_groups_part_the_cohort_evenly_and_none_is_smaller_than_asked(clients, size, coin):
    names = tuple(f"client-{place:02d}" for place in range(clients))
    if clients < size:
        return
    groups = Groups.drawn(names, coin, size=size, faulty=0)
    sizes = [len(members) for members in groups.members]

    assert sorted(name for members in groups.members for name in members) == list(names)
    assert groups.hiding == min(sizes) >= size
    assert max(sizes) <= min(sizes) + 1


def test_two_clients_meet_as_often_as_chance_has_it():
    coins = [seeded(place, "coin").bytes(32) for place in range(2000)]
    together = sum(
        any({NAMES[0], NAMES[1]} <= set(members) for members in Groups.drawn(NAMES, coin, size=4, faulty=1).members)
        for coin in coins
    )

    assert abs(together / 2000 - 3 / 11) < 0.04


@pytest.mark.parametrize(("size", "faulty"), [(2, 0), (5, 1), (4, 2), (13, 0), (3, -1)])
def test_too_few_or_too_small_groups_are_refused(size, faulty):
    with pytest.raises(ConfigError, match=r"it takes|groups of"):
        Groups.drawn(NAMES, bytes(32), size=size, faulty=faulty)


def test_groups_do_not_depend_on_the_order_of_names():
    assert Groups.drawn(NAMES, bytes(32), size=3, faulty=1) == Groups.drawn(NAMES[::-1], bytes(32), size=3, faulty=1)
