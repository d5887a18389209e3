"""Exact integer noise for a whole update, against numpy's float Gaussian and the price of its random bits.

Work: one million coordinates on one thread, from the operating system's generator. The floor is that generator alone,
for the six bytes a coordinate that the sampler asks for. numpy's normal is neither exact nor secret: it is what noise
costs where nobody asks for either. The one-by-one sampler is the textbook's (Canonne, Kamath and Steinke 2020,
Algorithms 1 to 3) with exact fractions, on a thousandth of the coordinates, scaled up.
"""

from __future__ import annotations

import os
import secrets
import statistics
from collections.abc import Callable
from fractions import Fraction
from math import floor

import numpy as np

from benchmarks.timing import interleaved, ratio
from securefed import rng
from securefed.privacy.discrete import discrete_gaussian
from securefed.privacy.gaussian import gaussian_noise
from securefed.privacy.skellam import skellam

SMALL, LARGE = 8.0, 1e6
SHARE = 1000


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    count = 100_000 if quick else 1_000_000
    source, floats = rng.secure(), np.random.default_rng()
    work: dict[str, Callable[[], object]] = {
        "discrete_gaussian": lambda: discrete_gaussian(LARGE, count, rng=source),
        "discrete_gaussian_small": lambda: discrete_gaussian(SMALL, count, rng=source),
        "skellam_small": lambda: skellam(SMALL, count, rng=source),
        "float_gaussian_os_bits": lambda: gaussian_noise(LARGE, count, rng=source),
        "numpy_normal": lambda: floats.normal(scale=LARGE, size=count),
        "os_bits": lambda: os.urandom(6 * count),
        "one_by_one": lambda: [textbook(Fraction(LARGE)) for _ in range(count // SHARE)],
    }
    seconds = interleaved(work, repetitions=3 if quick else 15)
    seconds["one_by_one"] = [SHARE * time for time in seconds["one_by_one"]]
    return {
        "coordinates": count,
        "milliseconds": {name: 1000 * statistics.median(times) for name, times in seconds.items()},
        "milliseconds_spread": {name: [1000 * min(times), 1000 * max(times)] for name, times in seconds.items()},
        "milliseconds_per_million": 1e9 * statistics.median(seconds["discrete_gaussian"]) / count,
        "ratio_to_floor": ratio(seconds["discrete_gaussian"], seconds["os_bits"])["ratio"],
        "ratio_to_floor_spread": ratio(seconds["discrete_gaussian"], seconds["os_bits"]),
        "ratio_to_numpy_normal": ratio(seconds["discrete_gaussian"], seconds["numpy_normal"]),
        "speedup_over_one_by_one": ratio(seconds["one_by_one"], seconds["discrete_gaussian"]),
    }


def textbook(stddev: Fraction) -> int:
    """Draw one discrete Gaussian from discrete Laplace proposals, as the paper describes it."""
    scale = floor(stddev) + 1
    while True:
        proposal = _laplace(scale)
        if _bernoulli_exp((abs(proposal) - stddev**2 / scale) ** 2 / (2 * stddev**2)):
            return proposal


def _laplace(scale: int) -> int:
    while True:
        low = secrets.randbelow(scale)
        if not _bernoulli_exp(Fraction(low, scale)):
            continue
        high = 0
        while _bernoulli_exp(Fraction(1)):
            high += 1
        magnitude, negative = low + scale * high, secrets.randbelow(2)
        if magnitude or not negative:
            return -magnitude if negative else magnitude


def _bernoulli_exp(power: Fraction) -> bool:
    while power > 1:
        if not _bernoulli_exp_below_one(Fraction(1)):
            return False
        power -= 1
    return _bernoulli_exp_below_one(power)


def _bernoulli_exp_below_one(power: Fraction) -> bool:
    k = 1
    while secrets.randbelow(power.denominator * k) < power.numerator:
        k += 1
    return k % 2 == 1
