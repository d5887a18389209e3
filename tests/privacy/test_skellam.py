"""The Skellam sampler: right distribution, right scale, closed under addition, decided exactly."""

import numpy as np
import pytest
from scipy import stats

from securefed import rng
from securefed.errors import ConfigError
from securefed.privacy.shares import l1_of
from securefed.privacy.skellam import Magnitudes, magnitude_ends, skellam

DRAWS = 300_000


def goodness_of_fit(draws, stddev):
    reach = int(7 * stddev) + 8
    support = np.arange(-reach, reach + 1)
    mass = stats.skellam.pmf(support, stddev**2 / 2, stddev**2 / 2)
    enough = np.flatnonzero(mass * len(draws) >= 20)
    low, high = support[enough[0]], support[enough[-1]]
    observed = np.bincount(np.clip(draws, low, high) - low, minlength=high - low + 1)
    expected = mass[enough[0] : enough[-1] + 1].copy()
    expected[0] += mass[: enough[0]].sum()
    expected[-1] += mass[enough[-1] + 1 :].sum()
    return stats.chisquare(observed, expected / expected.sum() * len(draws)).pvalue


@pytest.mark.parametrize("stddev", [0.5, 1.0, 3.7, 40.0])
def test_draws_pass_a_chi_square_test_and_a_wrong_scale_fails_it(stddev):
    draws = skellam(stddev, DRAWS, rng=rng.seeded(1))

    assert goodness_of_fit(draws, stddev) > 1e-3
    assert goodness_of_fit(draws, stddev * 1.02) < 1e-6


def test_small_skellams_are_told_from_discrete_gaussians():
    draws = skellam(1.0, DRAWS, rng=rng.seeded(2))
    weights = np.exp(-(np.arange(-9, 10) ** 2) / 2)
    observed = np.bincount(np.clip(draws, -9, 9) + 9, minlength=19)
    inside = slice(5, 14)
    expected = weights[inside] / weights[inside].sum() * observed[inside].sum()

    assert stats.chisquare(observed[inside], expected).pvalue < 1e-6


def test_the_sum_of_shares_is_the_skellam_of_the_sum_of_their_variances():
    source = rng.seeded(3)
    total = sum(skellam(1.5, DRAWS, rng=source) for _ in range(4))

    assert goodness_of_fit(total, 3.0) > 1e-3


def test_probabilities_agree_with_another_implementation():
    ends = Magnitudes.of(30.0).ends.astype(float) / 2**64
    support = np.arange(100)
    mass = stats.skellam.pmf(support, 450, 450) * np.where(support, 2, 1)

    assert np.diff(ends[:100], prepend=0) == pytest.approx(mass, abs=1e-14)


def test_more_digits_change_nothing_but_the_last():
    few, many = (magnitude_ends(7.5, digits) for digits in (40, 90))

    assert max(abs(a - b) for a, b in zip(few, many, strict=False)) < 1e-38


def test_a_word_on_an_end_falls_to_either_side_in_the_right_proportion():
    table = Magnitudes.of(3.7)
    word = table.ends[2]
    end = int(magnitude_ends(3.7, 60)[2] * 2**140)
    found = table.of_words(np.full(400, word), rng.seeded(4))

    assert set(found) <= {2, 3}
    share = (end - (int(word) << 76)) / 2.0**76
    assert abs((found == 2).mean() - share) < 5 * 0.5 / np.sqrt(400)


def test_two_draws_are_independent():
    first, second = (skellam(100.0, DRAWS, rng=rng.secure()) for _ in range(2))

    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(DRAWS)


@pytest.mark.parametrize("stddev", [0.0, -1.0, float("nan"), 2.0**12 + 1])
def test_a_parameter_out_of_bounds_is_refused(stddev):
    with pytest.raises(ConfigError, match="stddev"):
        skellam(stddev, 1, rng=rng.seeded(0))


@pytest.mark.parametrize("count", [0, 1, 9])
def test_as_many_are_drawn_as_asked_for(count):
    assert skellam(2.0, count, rng=rng.seeded(0)).shape == (count,)
    with pytest.raises(ConfigError, match="count"):
        skellam(2.0, -1, rng=rng.seeded(0))


@pytest.mark.parametrize("l2", [1.0, 1.5, 2.0, 3.2, 5.0])
@pytest.mark.parametrize("dim", [1, 2, 4])
def test_no_integers_of_an_l2_norm_have_a_larger_l1_norm_than_the_one_that_is_paid_for(l2, dim):
    """All integer vectors, by brute force; and the bound is met where one of its two cases is exact."""
    axis = np.arange(int(l2) + 1)
    points = np.stack(np.meshgrid(*[axis] * dim), axis=-1).reshape(-1, dim)
    largest = points[np.linalg.norm(points, axis=1) <= l2].sum(axis=1).max()

    assert largest <= l1_of(l2, dim) * (1 + 1e-12)
    if l2 == 1.0 or (l2 == 2.0 and dim != 2):
        assert largest == l1_of(l2, dim)
