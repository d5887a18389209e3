"""Exact sampling of integer noise, vectorised, from a source of uniform bits.

The discrete Gaussian of parameter ``s`` (Canonne, Kamath and Steinke 2020, arXiv:2004.00010, Definition 1) gives the
integer ``x`` a probability proportional to ``exp(-x^2 / (2 s^2))``. A rounded float Gaussian does not: the gaps and
tails of floats betray what was added (Mironov 2012). So every decision here is exact: floats decide only where their
error cannot matter, and the few draws that come too close to call (about one in ten million) are decided by arithmetic
of whatever precision it takes.

The method is rejection. Magnitudes are parted into blocks of ``w`` integers, ``w`` a power of two. A block ``j`` is
drawn with probability proportional to ``exp(-(j w)^2 / (2 s^2))``, an offset ``u`` in it uniformly, and ``x = j w + u``
is kept with probability ``exp(-u (2 j w + u) / (2 s^2))``; a sign is drawn beside, and a negative zero is not kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import final

import numpy as np
import numpy.typing as npt

from securefed.encoding import Integers
from securefed.errors import ConfigError
from securefed.rng import Source

LARGEST = 2.0**30
"""Largest parameter: block offsets have to fit into 31 bits."""

MARGIN = 2.0**-44
"""Relative error that a float probability may have here; numpy's exp and its argument stay below ``2**-50``."""

_WORD = 2.0**32


def discrete_gaussian(stddev: float, count: int, *, rng: Source) -> Integers:
    """Draw independent discrete Gaussians.

    Args:
        stddev: The parameter ``s``, at most ``2**30``. The standard deviation is ``s`` up to a relative ``1e-7`` for
        ``s >= 1``,
            and never above it.
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
        raise ConfigError(f"stddev is {stddev}; it must lie above 0 and not above 2**30 ring units. Use a larger step")
    if count < 0:
        raise ConfigError(f"count is {count}; it must not be negative")
    blocks = Blocks.of(stddev)
    parts: list[Integers] = [np.zeros(0, np.int64)]
    missing = count
    while missing:
        drawn = blocks.draw(missing + missing // 8 + 16, rng)[:missing]
        parts.append(drawn)
        missing -= len(drawn)
    return np.concatenate(parts)


@final
@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks for one parameter.

    Attributes:
        stddev: The parameter ``s``.
        shift: ``w`` is ``2**shift``.
        cells: Word in which the end of each block's share of the unit interval lies, ascending.
    """

    stddev: float
    shift: int
    cells: npt.NDArray[np.uint32] = field(repr=False)

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, stddev: float) -> Blocks:
        """Part the integers for a parameter."""
        shift = max(0, math.floor(math.log2(stddev)) - 3)
        # Beyond 9 s lies less than 2**-58 of the distribution; words that reach there are decided exactly.
        ends = _ends(stddev, shift, digits=40, count=math.ceil(9 * stddev / 2**shift) + 2)
        words = (int(Context(prec=60).multiply(end, Decimal(2**32))) for end in ends)
        cells = [min(word, 2**32 - 1) for word in words]
        return cls(stddev, shift, np.array(cells, dtype=np.uint32))

    def draw(self, count: int, rng: Source) -> Integers:
        """Return the integers that were kept out of ``count`` proposals."""
        words = np.frombuffer(rng.bytes(12 * count), dtype="<u4").reshape(3, count)
        block = np.searchsorted(self.cells, words[0], side="right")
        offset = (words[1] & np.uint32(2**self.shift - 1)).astype(np.int64)
        # The word that a boundary lies in belongs to two blocks; so does every word beyond the last boundary.
        unclear = self.cells[np.maximum(block - 1, 0)] == words[0]
        for i in np.flatnonzero(unclear):
            block[i] = self._exact_block(int(words[0, i]), rng)
        kept = self._keep(block, offset, words[2], rng)
        negative = words[1] >> np.uint32(31) == 1
        magnitude = (block.astype(np.int64) << self.shift) + offset
        return np.where(negative, -magnitude, magnitude)[kept & ~(negative & (magnitude == 0))]

    def _keep(
        self, block: npt.NDArray[np.intp], offset: Integers, words: npt.NDArray[np.uint32], rng: Source
    ) -> npt.NDArray[np.bool_]:
        """Tell which proposals are kept: those whose uniform number lies below their probability."""
        exponent = offset * ((block.astype(np.int64) << (self.shift + 1)) + offset)
        probability = np.exp(exponent / (-2 * self.stddev**2)) * _WORD
        kept = words < probability
        unclear = np.abs(words + 0.5 - probability) <= 0.5 + MARGIN * _WORD
        for i in np.flatnonzero(unclear & (offset > 0)):
            kept[i] = _below(int(words[i]), self._probability(int(exponent[i])), rng)
        return kept

    def _probability(self, exponent: int) -> Callable[[int], Decimal]:
        """Return ``exp(-exponent / (2 s^2))`` as a function of the number of digits."""
        power = Fraction(-exponent) / (2 * Fraction(self.stddev) ** 2)

        def digits_of(digits: int) -> Decimal:
            context = Context(prec=digits)
            return context.exp(context.divide(Decimal(power.numerator), Decimal(power.denominator)))

        return digits_of

    def _exact_block(self, word: int, rng: Source) -> int:
        """Return the block in whose share a uniform number lies that begins with these 32 bits."""
        stream = _Uniform(word, rng)
        while True:
            stream.extend()
            digits = stream.bits // 3 + 20
            # The terms fall below the resolution of the digits where x^2 / (2 s^2) exceeds 2.4 digits.
            count = math.ceil(math.sqrt(4.8 * digits) * self.stddev / 2**self.shift) + 2
            ends = _ends(self.stddev, self.shift, digits=digits, count=count)
            sides = [stream.compare(end, digits) for end in ends]
            if 0 not in sides and -1 in sides:
                return sides.index(-1)


def _ends(stddev: float, shift: int, *, digits: int, count: int) -> list[Decimal]:
    """Return where the share of each block ends in the unit interval, correct to about ``digits - 5`` digits."""
    context = Context(prec=digits)
    square = 2 * Fraction(stddev) ** 2
    terms = []
    for j in range(count):
        power = Fraction(-((j << shift) ** 2)) / square
        terms.append(context.exp(context.divide(Decimal(power.numerator), Decimal(power.denominator))))
    total = Decimal(0)
    sums = [total := context.add(total, term) for term in terms]
    return [context.divide(part, total) for part in sums]


def _below(word: int, probability: Callable[[int], Decimal], rng: Source) -> bool:
    """Tell whether a uniform number that begins with these 32 bits lies below a probability."""
    stream = _Uniform(word, rng)
    while True:
        stream.extend()
        digits = stream.bits // 3 + 20
        if side := stream.compare(probability(digits), digits):
            return side < 0


@final
class _Uniform:
    """A uniform number in the unit interval of which more bits are drawn when they are needed."""

    def __init__(self, word: int, rng: Source) -> None:
        self._value, self.bits, self._rng = word, 32, rng

    def extend(self) -> None:
        """Draw 64 bits more."""
        self._value = self._value << 64 | int.from_bytes(self._rng.bytes(8), "little")
        self.bits += 64

    def compare(self, bound: Decimal, digits: int) -> int:
        """Return -1 if below a bound that is correct to ``digits - 5`` digits, 1 if above, 0 if unknown."""
        exact = Context(prec=digits + self.bits)
        scaled, slack = exact.multiply(bound, Decimal(2**self.bits)), exact.scaleb(Decimal(2**self.bits), 5 - digits)
        low = int(exact.subtract(scaled, slack).to_integral_value(ROUND_FLOOR))
        high = int(exact.add(scaled, slack).to_integral_value(ROUND_CEILING))
        return -1 if self._value + 1 <= low else 1 if self._value >= high else 0
