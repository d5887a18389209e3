"""Decisions that floats cannot make: uniform numbers of as many bits, and probabilities of as many digits, as it takes.

A uniform number is compared with a bound bit by bit: as soon as what is known of both tells which is larger, no more
bits are drawn. The answer is then exactly that of a real number with infinitely many bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from securefed.rng import Source

Number: TypeAlias = Callable[[int], Decimal]
"""A real number in the unit interval: given a number of digits, its value, correct to five digits fewer."""

Numbers: TypeAlias = Callable[[int], Sequence[Decimal]]
"""Ascending real numbers, likewise. More digits may give more of them, up to 1."""

LOST = 5
"""Digits at the end that sums and quotients may spoil."""


def exponential(exponent: int, stddev: float) -> Number:
    """Return ``exp(-exponent / (2 stddev^2))``."""
    power = Fraction(-exponent) / (2 * Fraction(stddev) ** 2)

    def digits_of(digits: int) -> Decimal:
        context = Context(prec=digits)
        return context.exp(context.divide(Decimal(power.numerator), Decimal(power.denominator)))

    return digits_of


def block_ends(stddev: float, shift: int, *, digits: int) -> list[Decimal]:
    """Return where the share of each block of a discrete Gaussian ends in the unit interval."""
    # The terms fall below the resolution of the digits where x^2 / (2 s^2) exceeds 2.4 digits.
    count = math.ceil(math.sqrt(4.8 * digits) * stddev / 2**shift) + 2
    return shares([exponential((j << shift) ** 2, stddev)(digits) for j in range(count)], digits=digits)


def shares(weights: Sequence[Decimal], *, digits: int) -> list[Decimal]:
    """Return the running sums of weights, divided by their total."""
    context = Context(prec=digits)
    total = Decimal(0)
    sums = [total := context.add(total, weight) for weight in weights]
    return [context.divide(part, total) for part in sums]


def words_of(numbers: Numbers, *, bits: int) -> npt.NDArray[np.uint64]:
    """Return in which of ``2**bits`` equal parts of the unit interval each number lies, at most 64 bits.

    Numbers in the last part are named once.
    """
    digits = 40
    while True:
        low, high = ([bounds(number, digits, bits)[side] for number in numbers(digits)] for side in (0, 1))
        last = 2**bits - 1
        # Beyond the last part nothing needs to be known: a uniform number there is decided exactly.
        known = [a for a, b in zip(low, high, strict=True) if a < last and b == a + 1]
        if len(known) == sum(a < last for a in low):
            return np.array([*known, last], dtype=np.uint64)
        digits += 20


def bounds(number: Decimal, digits: int, bits: int) -> tuple[int, int]:
    """Return integers that a number times ``2**bits`` lies between."""
    exact = Context(prec=digits + bits)
    scaled, slack = exact.multiply(number, Decimal(2**bits)), exact.scaleb(Decimal(2**bits), LOST - digits)
    low = exact.subtract(scaled, slack).to_integral_value(ROUND_FLOOR)
    return int(low), int(exact.add(scaled, slack).to_integral_value(ROUND_CEILING))


@final
class Uniform:
    """A uniform number in the unit interval of which more bits are drawn when they are needed."""

    def __init__(self, value: int, bits: int, rng: Source) -> None:
        self._value, self._bits, self._rng = value, bits, rng

    def is_below(self, bound: Number) -> bool:
        """Tell whether it lies below a number."""
        while True:
            digits = self._extend()
            if side := self._compare(bound(digits), digits):
                return side < 0

    def first_above(self, ends: Numbers) -> int:
        """Return the index of the first number that lies above it."""
        while True:
            digits = self._extend()
            sides = [self._compare(end, digits) for end in ends(digits)]
            if 0 not in sides and -1 in sides:
                return sides.index(-1)

    def _extend(self) -> int:
        """Draw 64 bits more; return how many digits are needed to compare all of them."""
        self._value = self._value << 64 | int.from_bytes(self._rng.bytes(8), "little")
        self._bits += 64
        return self._bits // 3 + 20

    def _compare(self, number: Decimal, digits: int) -> int:
        """Return -1 if below a number, 1 if above, 0 if that is not known yet."""
        low, high = bounds(number, digits, self._bits)
        return -1 if self._value + 1 <= low else 1 if self._value >= high else 0
