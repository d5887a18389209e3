"""Any threshold of shares gives the secret, fewer say nothing about it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.aggregation.shamir import (
    POINTS,
    PRIME,
    SHARE,
    all_at_once,
    combine,
    draw,
    lagrange_at_zero,
    one_by_one,
    split,
)
from securefed.errors import ConfigError, ProtocolError, ThresholdError
from securefed.rng import secure, seeded

elements = st.integers(0, PRIME - 1).map(lambda value: value.to_bytes(SHARE, "little"))


def reference_combine(shares: dict[int, bytes]) -> int:
    """Lagrange's formula as it stands in the book, in Python's integers."""
    total = 0
    for x, share in shares.items():
        term = int.from_bytes(share, "little")
        for other in shares:
            if other != x:
                term = term * other * pow(other - x, -1, PRIME) % PRIME
        total += term
    return total % PRIME


@settings(max_examples=60, deadline=None)
@given(data=st.data(), secret=elements, holders=st.integers(1, 12))
def test_any_threshold_of_shares_gives_the_secret(data, secret, holders):
    threshold = data.draw(st.integers(1, holders))
    points = data.draw(st.lists(st.integers(1, POINTS - 1), min_size=holders, max_size=holders, unique=True))
    (shares,) = split([secret], threshold=threshold, points=points, rng=secure())
    chosen = dict(data.draw(st.permutations(list(zip(points, shares, strict=True))))[:threshold])

    assert combine(chosen, threshold=threshold) == secret
    assert reference_combine(chosen) == int.from_bytes(secret, "little")


@settings(max_examples=100, deadline=None)
@given(data=st.data(), degree=st.integers(0, 40), count=st.integers(1, 5))
def test_all_at_once_and_one_by_one_are_the_same(data, degree, count):
    extreme = st.sampled_from([0, 1, 2**32 - 1, 2**254, PRIME - 2**32, PRIME - 1])
    element = st.one_of(extreme, st.integers(0, PRIME - 1))
    polynomials = data.draw(st.lists(st.lists(element, min_size=degree + 1, max_size=degree + 1), min_size=count))
    points = data.draw(st.lists(st.one_of(st.just(POINTS - 1), st.integers(1, POINTS - 1)), min_size=1, max_size=9))

    assert all_at_once(polynomials, points) == one_by_one(polynomials, points)


def test_a_value_that_only_folds_at_the_very_end_is_whole():
    """Words that are all ones carry through the whole number, and once more around."""
    polynomials, points = [[constant, 1, 0] for constant in range(PRIME - 60, PRIME)], [1, 19, POINTS - 1]

    assert all_at_once(polynomials, points) == one_by_one(polynomials, points)


def test_many_secrets_go_to_many_holders():
    """So many that arrays are worth it."""
    secrets, points = [draw(secure()) for _ in range(4)], range(1, 101)
    shares = split(secrets, threshold=67, points=points, rng=secure())

    for secret, each in zip(secrets, shares, strict=True):
        assert reference_combine(dict(list(zip(points, each, strict=True))[33:])) == int.from_bytes(secret, "little")


def test_every_subset_of_five_holders_gives_the_secret():
    secret = draw(secure())
    (shares,) = split([secret], threshold=3, points=range(1, 6), rng=secure())

    for chosen in itertools.combinations(range(1, 6), 3):
        assert combine({x: shares[x - 1] for x in chosen}, threshold=3) == secret


@given(one=elements, other=elements)
@settings(max_examples=30, deadline=None)
def test_fewer_shares_are_compatible_with_every_secret(one, other):
    """Perfect secrecy by construction: two shares of a 3-of-n sharing of one secret fit any other secret as well."""
    (shares,) = split([one], threshold=3, points=[1, 2, 3], rng=secure())
    view = {1: shares[0], 2: shares[1]}
    w1, w2, w3 = lagrange_at_zero((1, 2, 3))
    known = w1 * int.from_bytes(view[1], "little") + w2 * int.from_bytes(view[2], "little")
    third = (int.from_bytes(other, "little") - known) * pow(w3, -1, PRIME) % PRIME

    assert combine(view | {3: third.to_bytes(SHARE, "little")}, threshold=3) == other


def test_shares_of_one_secret_are_not_repeated():
    secret = draw(secure())
    first, second = (split([secret], threshold=2, points=[1, 2], rng=secure())[0] for _ in range(2))

    assert set(first).isdisjoint(second)


def test_secrets_are_uniform_below_the_prime():
    """The mean of 20,000 draws, in units of the prime, lies within six standard errors of one half."""
    source = seeded(1)
    values = [int.from_bytes(draw(source), "little") / PRIME for _ in range(20_000)]

    assert abs(sum(values) / 20_000 - 0.5) < 6 / (12 * 20_000) ** 0.5


def test_too_few_shares_are_an_error():
    (shares,) = split([bytes(32)], threshold=3, points=[1, 2, 3], rng=secure())

    with pytest.raises(ThresholdError):
        combine({1: shares[0], 2: shares[1]}, threshold=3)


@pytest.mark.parametrize("share", [b"", bytes(31), bytes(33), PRIME.to_bytes(32, "little"), b"\xff" * 32])
def test_what_is_not_an_element_is_refused(share):
    with pytest.raises(ProtocolError):
        combine({1: share}, threshold=1)


@pytest.mark.parametrize(
    ("threshold", "points"), [(0, [1]), (2, [1]), (1, []), (1, [0]), (2, [1, 1]), (1, [-1]), (1, [POINTS])]
)
def test_a_sharing_that_could_not_work_is_refused(threshold, points):
    with pytest.raises(ConfigError):
        split([bytes(32)], threshold=threshold, points=points, rng=secure())
