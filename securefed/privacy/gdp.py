"""The exact privacy profile of Gaussian mechanisms.

A Gaussian mechanism with ``mu = sensitivity / stddev`` has ``delta(eps) = Phi(mu/2 - eps/mu) - e^eps Phi(-mu/2 -
eps/mu)`` (Balle and Wang 2018, arXiv:1805.06530, Theorem 8). ``T`` of them have the profile of one with ``mu^2`` added
up (Dong, Roth and Su 2019, arXiv:1905.02383, Corollary 3.3), also when their parameters are chosen as the outputs come
in (Smith and Thakurta 2022, arXiv:2210.17520).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from securefed.errors import ConfigError

ROOM = 1e-10
"""Relative room that a calibrated ``mu`` keeps for float errors and slack, so that the last round is not refused."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class GaussianProfile:
    """The profile of one Gaussian mechanism, and of what is within a factor ``exp(slack)`` of it.

    If every probability of a real mechanism is within ``exp(+-slack)`` of an ideal one's, then
    ``delta(eps) <= exp(slack) delta_ideal(eps - 2 slack)``.

    Attributes:
        mu: Sensitivity over stddev.
        slack: Largest logarithm of the ratio of probabilities.
    """

    mu: float
    slack: float = 0.0

    def epsilon(self, delta: float) -> float:
        """Return the smallest epsilon at this delta, rounded up."""
        return gaussian_epsilon(self.mu, delta * math.exp(-self.slack)) + 2 * self.slack

    def delta(self, epsilon: float) -> float:
        """Return the smallest delta at this epsilon."""
        return min(1.0, math.exp(self.slack) * gaussian_delta(self.mu, epsilon - 2 * self.slack))


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Return the exact ``delta(epsilon)`` of a Gaussian mechanism; the second term is formed in logarithms."""
    from scipy.special import log_ndtr, ndtr

    if mu in (0.0, math.inf):
        return 0.0 if mu == 0.0 else 1.0
    second = math.exp(epsilon + float(log_ndtr(-mu / 2 - epsilon / mu)))
    return max(float(ndtr(mu / 2 - epsilon / mu)) - second, 0.0)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the smallest epsilon with ``gaussian_delta(mu, epsilon) <= delta``; rounded up.

    Raises:
        ConfigError: If delta is out of bounds.
    """
    check_delta(delta)
    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    if mu == math.inf:
        return math.inf
    return bisect(lambda epsilon: gaussian_delta(mu, epsilon) > delta)[1]


@lru_cache(maxsize=256)
def mu_of(epsilon: float, delta: float) -> float:
    """Return the largest ``mu`` whose Gaussian profile meets (epsilon, delta); rounded down."""
    return bisect(lambda mu: gaussian_delta(mu, epsilon) <= delta)[0] * (1 - ROOM)


def bisect(holds: Callable[[float], bool]) -> tuple[float, float]:
    """Return two neighbouring positive numbers, of which a property that ends somewhere holds for the lower only."""
    low, high = 0.0, 1.0
    while holds(high):
        low, high = high, 2 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high


def check_delta(delta: float) -> None:
    """Refuse a delta that promises nothing.

    Raises:
        ConfigError: If it does not lie between 0 and 1.
    """
    if not 0 < delta < 1:
        raise ConfigError(f"delta is {delta}; it must lie between 0 and 1, far below 1 / records")
