"""The discrete Gaussian sampler: right distribution, right scale, right generator, and decided exactly."""

import random
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import stats

from securefed import rng
from securefed.errors import ConfigError
from securefed.privacy import digits
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


@pytest.mark.parametrize("stddev", [1e3, 2.0**20 - 1, 2.0**20, 2.0**29])
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
    """Gives prepared bytes first, then uniform ones."""

    is_secret = False

    def __init__(self, first):
        self._first = first
        self._rest = rng.seeded(5)

    def bytes(self, count):
        head, self._first = self._first[:count], self._first[count:]
        return head + self._rest.bytes(count - len(head))


def share_of_blocks(stddev, shift, index):
    """Return where the share of a block ends, as an exact fraction of 2**200."""
    ends = digits.block_ends(stddev, shift, digits=90)
    return int(ends[index] * (Decimal(2) ** 200))


def test_a_block_whose_end_the_first_bits_do_not_show_is_found_by_further_bits():
    """All 65536 first words, each continued: the blocks' shares are those of the weights."""
    blocks = Blocks.of(3.7)
    unclear = np.flatnonzero(blocks.table < 0)
    assert len(unclear) == len(set(unclear)) > 10

    word = int(unclear[2])
    inside = [share_of_blocks(3.7, 0, j) for j in range(60)]
    ends = [end for end in inside if end >> 184 == word]
    found = blocks._blocks(np.full(4000, word, np.uint16), rng.seeded(6))
    share = float((found <= inside.index(ends[0])).mean())

    assert abs(share - (ends[0] - (word << 184)) / 2.0**184) < 5 * 0.5 / np.sqrt(4000)


def test_a_word_on_a_boundary_falls_to_either_side_in_the_right_proportion():
    """The 64 bits of the boundary's own word do not decide; the exact arithmetic on further bits does."""
    blocks = Blocks.of(3.7)
    word = int(blocks.ends[2])
    end = share_of_blocks(3.7, 0, 2)
    source = rng.seeded(6)
    fell = [blocks.exact_block(word, source) for _ in range(400)]

    assert set(fell) <= {2, 3}
    share = (end - (word << 136)) / 2.0**136
    assert abs(fell.count(2) / 400 - share) < 5 * 0.5 / np.sqrt(400)


def test_a_source_that_hits_a_boundary_is_followed_to_the_exact_decision(monkeypatch):
    blocks = Blocks.of(3.7)
    word = int(blocks.ends[2])
    asked = []
    monkeypatch.setattr(Blocks, "exact_block", lambda self, word, _: asked.append(word) or 2)
    first = (word >> 48).to_bytes(2, "little") + bytes(4)  # one proposal
    longer = ((word << 16) & (2**64 - 1)).to_bytes(8, "little")  # the 48 bits that follow
    drawn = blocks.draw(1, Forged(first + longer))

    assert asked == [word]
    assert drawn.tolist() == [2]


def test_the_last_word_reaches_the_far_tail():
    source = rng.seeded(7)
    reached = [Blocks.of(1.0).exact_block(2**64 - 1, source) for _ in range(50)]

    # Beyond x lies less than 2**-64 of the distribution from x = 9 on.
    assert min(reached) >= 9


@pytest.mark.parametrize("known", [16, 48])
def test_a_proposal_too_close_to_call_is_decided_on_further_bits(known):
    blocks = Blocks.of(1000.0)
    block, offset = 1, 5
    assert blocks.shift == 5
    probability = Fraction(int(digits.exponential(5 * (2 * 32 + 5), 1000.0)(60) * Decimal(10) ** 50), 10**50)
    word, share = divmod(probability * 2**known, 1)
    source = rng.seeded(8)
    many = np.full(400, 1)
    if known == 16:
        words = np.full(400, int(word), np.uint16)
        kept = blocks._keep(many.astype(np.int16) * block, many.astype(np.int32) * offset, words, source)
    else:
        kept = blocks.keep_exactly(many * block, many * offset, np.full(400, int(word)), source)

    assert abs(np.mean(kept) - float(share)) < 5 * 0.5 / np.sqrt(400)


@pytest.mark.parametrize("stddev", [20.0, 1000.0, 98_765.4, 2.0**30])
def test_single_precision_is_good_enough_for_its_first_guess(stddev):
    """The guess may be off by 2**-16; it is off by far less than that."""
    blocks = Blocks.of(stddev)
    block, offset = (grid.ravel() for grid in np.meshgrid(np.arange(300), np.arange(8) * (2**blocks.shift - 1) // 7))
    exact = np.exp(-(offset * ((block << (blocks.shift + 1)) + offset)) / (2 * stddev**2))
    part = offset.astype(np.float32) * np.float32(1 / stddev)
    power = block.astype(np.float32) * np.float32(2.0 ** (blocks.shift + 1) / stddev) + part
    guess = np.exp(power * part * np.float32(-0.5))

    assert np.abs(guess - exact).max() < 2.0**-19


def test_both_guesses_and_exact_decisions_make_the_same_choice():
    blocks = Blocks.of(777.0)
    source = rng.seeded(9)
    block, offset = source.generator().integers(0, [[240], [32]], (2, 20_000))
    words = source.uint64(20_000) >> np.uint64(48)
    guessed = blocks._keep(block.astype(np.int16), offset.astype(np.int32), words.astype(np.uint16), source)
    exponent = offset * ((block << (blocks.shift + 1)) + offset)
    probability = np.exp(-exponent / (2 * 777.0**2)) * 2.0**16
    below, above = words + 1 <= probability, words >= probability

    assert guessed[below].all()
    assert not guessed[above].any()
    assert below.sum() > 1000
    assert above.sum() > 1000


@pytest.mark.parametrize("stddev", [0.0, -1.0, float("nan"), 2.0**31])
def test_a_parameter_out_of_bounds_is_refused(stddev):
    with pytest.raises(ConfigError, match="stddev"):
        discrete_gaussian(stddev, 1, rng=rng.seeded(0))


@pytest.mark.parametrize("count", [0, 1, 7])
def test_as_many_are_drawn_as_asked_for(count):
    drawn = discrete_gaussian(10.0, count, rng=rng.seeded(0))

    assert drawn.shape == (count,)
    assert drawn.dtype == np.int64
