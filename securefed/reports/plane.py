"""From values to places in a picture: scales and their ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
"""What a tick's distance may be, times a power of ten."""


@final
@dataclass(frozen=True, slots=True)
class Scale:
    """Values from ``low`` to ``high`` laid out between two places; by their logarithms if ``is_log``."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies, held within the picture, to a hundredth of a unit."""
        low, high, at = (math.log10(v) if self.is_log else v for v in (self.low, self.high, max(value, 1e-300)))
        at = at if self.is_log else value
        share = min(max((at - low) / (high - low), 0.0), 1.0)
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self) -> list[tuple[float, str]]:
        """Return place and text of a few round values."""
        if self.is_log:
            return [(self.place(10.0**exponent), power_of_ten(exponent)) for exponent in powers(self.low, self.high)]
        return [(self.place(value), f"{value:.4g}") for value in round_values(self.low, self.high)]


def covering(values: Iterable[float], *, zero: bool) -> tuple[float, float]:
    """Return bounds a little around values, never equal; from zero if asked to."""
    found = list(values)
    low, high = min(found), max(found)
    room = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return (0.0 if zero else low - room), high + room


def round_values(low: float, high: float, count: int = 5) -> list[float]:
    """Return at most about ``count`` round values between two bounds."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in STEPS if power * each >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def powers(low: float, high: float, count: int = 5) -> list[int]:
    """Return exponents of the powers of ten between two bounds, at most about ``count``."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first) / count))
    return list(range(last, first - 1, -step))


def power_of_ten(exponent: int) -> str:
    """Return a power of ten as it is written."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")) if exponent else "1"
