"""Skellam noise: the difference of two Poissons of the same mean, drawn exactly.

A sum of Skellams is a Skellam, whatever their size. That is worth something where shares are small: rings of few bits,
where a sum of discrete Gaussians is measurably no discrete Gaussian. Where shares are large there is nothing to gain:
the discrete Gaussian's gap is below ``1e-20`` and its accounting is tighter. So only small Skellams are drawn here.

The probabilities are ``exp(-v) I_x(v)`` for variance ``v`` (``I`` is the modified Bessel function). The recurrence
``I_{k-1} = I_{k+1} + (2k/v) I_k``, begun far out and run towards zero, adds positive numbers only and gives all of them
up to a factor, which their sum settles (Miller's method). A uniform number of 64 bits is looked up among the sums; one
that falls on the word in which a sum ends is decided exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import lru_cache
from typing import final

import numpy as np
import numpy.typing as npt

from securefed.encoding import Integers
from securefed.errors import ConfigError
from securefed.privacy.digits import Uniform, shares, words_of
from securefed.rng import Source

LARGEST = 2.0**12
"""Largest standard deviation: the table holds every magnitude that can be told from impossible."""

_GUARD = 12
"""Digits that the recurrence is run with beyond those of the result."""


def skellam(stddev: float, count: int, *, rng: Source) -> Integers:
    """Draw independent Skellams of mean zero.

    Args:
        stddev: Standard deviation, at most ``2**12``.
        count: How many.
        rng: Where the bits come from: :func:`securefed.rng.secure` in use.

    Returns:
        Integers, int64, shape ``(count,)``.

    Guarantees:
        * The distribution is exact, if the bits are uniform.

    Raises:
        ConfigError: If ``stddev`` is not positive or too large, or ``count`` is negative.
    """
    if not 0 < stddev <= LARGEST:
        raise ConfigError(
            f"stddev is {stddev}; Skellam noise is drawn up to 2**12 ring units. Use discrete Gaussian shares, which "
            "are as good as Gaussian at this size"
        )
    if count < 0:
        raise ConfigError(f"count is {count}; it must not be negative")
    words = rng.uint64(count)
    table = Magnitudes.of(stddev)
    return table.of_words(words, rng) * table.signs(count, rng)


@final
@dataclass(frozen=True, slots=True)
class Magnitudes:
    """The magnitudes of one Skellam.

    Attributes:
        stddev: Standard deviation.
        ends: Word of 64 bits in which the share of each magnitude ends, ascending.
    """

    stddev: float
    ends: npt.NDArray[np.uint64] = field(repr=False)

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, stddev: float) -> Magnitudes:
        """Make the table of a standard deviation."""
        return cls(stddev, words_of(lambda digits: magnitude_ends(stddev, digits), bits=64))

    def of_words(self, words: npt.NDArray[np.uint64], rng: Source) -> Integers:
        """Return the magnitudes that uniform words stand for."""
        found = np.searchsorted(self.ends, words, side="right").astype(np.int64)
        on_an_end = self.ends[np.maximum(found - 1, 0)] == words
        for i in np.flatnonzero(on_an_end):
            found[i] = Uniform(int(words[i]), 64, rng).first_above(lambda digits: magnitude_ends(self.stddev, digits))
        return found

    @staticmethod
    def signs(count: int, rng: Source) -> Integers:
        """Return signs, 1 or -1."""
        bits = np.unpackbits(np.frombuffer(rng.bytes((count + 7) // 8), dtype=np.uint8), count=count)
        return 1 - 2 * bits.astype(np.int64)


@lru_cache(maxsize=8)
def magnitude_ends(stddev: float, digits: int) -> list[Decimal]:
    """Return where the share of each magnitude ends in the unit interval."""
    context = Context(prec=digits + _GUARD)
    variance = context.multiply(Decimal(stddev), Decimal(stddev))
    factor = context.divide(Decimal(2), variance)
    above, here = Decimal(0), Decimal(1)
    weights = []
    for k in range(_reach(stddev, digits), 0, -1):
        weights.append(context.add(here, here))  # both signs
        above, here = here, context.fma(context.multiply(factor, Decimal(k)), here, above)
    weights.append(here)
    return shares(weights[::-1], digits=digits + _GUARD)


def _reach(stddev: float, digits: int) -> int:
    """Return a magnitude beyond which lies less than the digits can show, by Bernstein's inequality.

    ``P(|X| > x) <= 2 exp(-x^2 / (2 (v + x/3)))``; the exponent is made 2.4 a digit, and as much is begun beyond.
    """
    bits = 4.8 * digits
    return math.ceil((bits / 3 + math.sqrt((bits / 3) ** 2 + 4 * bits * stddev**2)) / 2) + digits
