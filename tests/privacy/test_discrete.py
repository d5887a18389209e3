"""The discrete Gaussian sampler: right distribution, right scale, right generator, and decided exactly."""

import random
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import stats

from securefed import rng
from securefed.errors import ConfigError
from securefed.privacy.discrete import Blocks, discrete_gaussian

DRAWS = 400_000


def probabilities(stddev):
    reach = int(8 * stddev) + 2
    support = np.arange(-reach, reach + 1)
    weights = np.exp(-(support**2) / (2 * stddev**2))
    return support, weights / weights.sum()


def goodness_of_fit(draws, stddev):
    """Return the p-value of a chi-square test, cells with few expected draws merged into the ends."""
    support, mass = probabilities(stddev)
    enough = np.flatnonzero(mass * len(draws) >= 20)
    low, high = support[enough[0]], support[enough[-1]]
    inside = np.clip(draws, low, high)
    observed = np.bincount(inside - low, minlength=high - low + 1)
    expected = mass[enough[0] : enough[-1] + 1].copy()
    expected[0] += mass[: enough[0]].sum()
    expected[-1] += mass[enough[-1] + 1 :].sum()
    return stats.chisquare(observed, expected / expected.sum() * len(draws)).pvalue


@pytest.mark.parametrize("stddev", [0.5, 1.0, 3.7, 40.0])
def test_small_parameters_pass_a_chi_square_test_and_a_wrong_scale_fails_it(stddev):
    draws = discrete_gaussian(stddev, DRAWS, rng=rng.seeded(1))

    assert goodness_of_fit(draws, stddev) > 1e-3
    assert goodness_of_fit(draws, stddev * 1.02) < 1e-6


@pytest.mark.parametrize("stddev", [1e3, 283575.08549009514, 2.0**29])
def test_large_parameters_pass_a_kolmogorov_smirnov_test_and_a_wrong_scale_fails_it(stddev):
    draws = discrete_gaussian(stddev, DRAWS, rng=rng.seeded(2))

    assert stats.kstest(draws / stddev, "norm").pvalue > 1e-3
    assert stats.kstest(draws / (0.98 * stddev), "norm").pvalue < 1e-3


def test_one_draw_of_a_whole_update_shows_noise_that_is_two_per_cent_too_small():
    draws = discrete_gaussian(98_000.0, 81_920, rng=rng.seeded(3))

    # The relative error of a standard deviation from n draws is 1 / sqrt(2 n): 0.25 % here.
    assert abs(draws.std() / 98_000.0 - 1) < 4 / np.sqrt(2 * 81_920)
    assert abs(draws.std() / 100_000.0 - 1) > 4 / np.sqrt(2 * 81_920)


def test_every_residue_is_drawn():
    """Offsets fill the blocks: no integer is unreachable, as it would be after rounding coarse floats."""
    draws = discrete_gaussian(1000.0, DRAWS, rng=rng.seeded(4))

    assert stats.chisquare(np.bincount(draws % 64, minlength=64)).pvalue > 1e-3


def test_two_draws_are_independent():
    source = rng.secure()
    first, second = (discrete_gaussian(1000.0, DRAWS, rng=source) for _ in range(2))

    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(DRAWS)


def test_global_seeds_do_not_repeat_the_noise():
    drawn = []
    for _ in range(2):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - the point is that it has no effect
        torch.manual_seed(0)
        drawn.append(discrete_gaussian(1e6, 8, rng=rng.secure()))

    assert not np.array_equal(*drawn)


class Forged(rng.Source):
    """Gives prepared words first, then uniform bits."""

    is_secret = False

    def __init__(self, words):
        self._first = np.array(words, "<u4").tobytes()
        self._rest = rng.seeded(5)

    def bytes(self, count):
        head, self._first = self._first[:count], self._first[count:]
        return head + self._rest.bytes(count - len(head))


def test_a_word_on_a_boundary_falls_to_either_side_in_the_right_proportion():
    """The 32 bits of the boundary's own word do not decide; the exact arithmetic on further bits does."""
    blocks = Blocks.of(3.7)
    word = int(blocks.cells[2])
    support = np.arange(0, 60)
    weights = np.exp(-(support.astype(float) ** 2) / (2 * 3.7**2))
    end = weights[:3].sum() / weights.sum() * 2.0**32
    source = rng.seeded(6)
    fell = [blocks._exact_block(word, source) for _ in range(400)]

    assert set(fell) <= {2, 3}
    share = fell.count(2) / 400
    assert abs(share - (end - word)) < 5 * 0.5 / np.sqrt(400)


def test_the_last_word_reaches_the_far_tail():
    source = rng.seeded(7)
    reached = [Blocks.of(1.0)._exact_block(2**32 - 1, source) for _ in range(50)]

    # Beyond x lies less than 2**-32 of the distribution from x = 6 on.
    assert min(reached) >= 6


def test_a_proposal_too_close_to_call_is_decided_exactly():
    blocks = Blocks.of(1000.0)
    source = rng.seeded(8)
    assert blocks.shift == 6
    share = (probability_of(5 * (2 * 64 + 5), 1000.0) * 2.0**32) % 1
    word = int(probability_of(5 * (2 * 64 + 5), 1000.0) * 2.0**32)
    kept = [blocks._keep(np.array([1]), np.array([5]), np.array([word], np.uint32), source)[0] for _ in range(400)]
    assert abs(np.mean(kept) - share) < 5 * 0.5 / np.sqrt(400)


def probability_of(exponent, stddev):
    return np.exp(-float(Fraction(exponent) / (2 * Fraction(stddev) ** 2)))


@pytest.mark.parametrize("stddev", [0.0, -1.0, float("nan"), 2.0**31])
def test_a_parameter_out_of_bounds_is_refused(stddev):
    with pytest.raises(ConfigError, match="stddev"):
        discrete_gaussian(stddev, 1, rng=rng.seeded(0))


@pytest.mark.parametrize("count", [0, 1, 7])
def test_as_many_are_drawn_as_asked_for(count):
    drawn = discrete_gaussian(10.0, count, rng=rng.seeded(0))

    assert drawn.shape == (count,)
    assert drawn.dtype == np.int64
