"""Rényi differential privacy at whole orders: costs add up, and convert to (epsilon, delta) at the end.

A curve holds the cost of a mechanism at each of :data:`ORDERS`, shape ``(len(ORDERS),)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from securefed.errors import ConfigError

Curve: TypeAlias = npt.NDArray[np.float64]

ORDERS: npt.NDArray[np.int64] = np.array([*range(2, 65), 72, 80, 96, 112, 128, 160, 192, 256, 320, 384, 512])
"""Whole orders only: for these the sampled Gaussian has an exact formula and Skellam a theorem."""

_UP = 1 + 2.0**-40
"""Relative room for float errors of the sums below."""


def gaussian(noise_multiplier: float) -> Curve:
    """Return the curve of a Gaussian mechanism: ``order / (2 noise_multiplier^2)`` (Mironov 2017, Corollary 3)."""
    return ORDERS.astype(np.float64) * (_UP / (2 * noise_multiplier**2))


@lru_cache(maxsize=1)
def _terms() -> tuple[Curve, Curve, Curve, npt.NDArray[np.intp]]:
    """Return every ``k`` and ``a - k`` of every order ``a`` in a row, ``log C(a, k)``, and where each order begins."""
    from scipy.special import gammaln

    lengths = ORDERS + 1
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    order = np.repeat(ORDERS, lengths).astype(np.float64)
    k = np.arange(lengths.sum()) - np.repeat(starts, lengths).astype(np.float64)
    return k, order - k, gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1), starts


@lru_cache(maxsize=4096)
def _sampled_gaussian(noise_multiplier: float, rate: float) -> Curve:
    k, rest, binomial, starts = _terms()
    terms = binomial + k * math.log(rate) + rest * math.log1p(-rate) + k * (k - 1) / (2 * noise_multiplier**2)
    # Sums of exponentials relative to the largest of each order, so that none overflows.
    largest = np.maximum.reduceat(terms, starts)
    sums = np.add.reduceat(np.exp(terms - np.repeat(largest, ORDERS + 1)), starts)
    curve: Curve = (largest + np.log(sums)) / (ORDERS - 1) * _UP
    curve.flags.writeable = False
    return curve


def sampled_gaussian(noise_multiplier: float, rate: float) -> Curve:
    """Return the curve of a Gaussian mechanism on a Poisson sample, for adding or removing one record.

    At a whole order ``a`` it is ``log(sum_k C(a, k) (1-q)^(a-k) q^k exp(k (k-1) / (2 s^2))) / (a - 1)`` (Mironov,
    Talwar and Zhang 2019, arXiv:1908.10530, Section 3.3), which bounds both directions (their Theorem 5).
    """
    return gaussian(noise_multiplier) if rate == 1 else _sampled_gaussian(noise_multiplier, rate)


def skellam(*, l1: float, l2: float, variance: float) -> Curve:
    """Return the curve of integer noise that is the difference of two Poissons.

    ``a l2^2 / (2 v) + min(((2a - 1) l2^2 + 6 l1) / (4 v^2), 3 l1 / (2 v))`` (Agarwal, Kairouz and Liu 2021,
    arXiv:2110.04995, Corollary 3.6), for integer shifts and whole orders.
    """
    square = l2**2
    small = ((2 * ORDERS - 1) * square + 6 * l1) / (4 * variance**2)
    return (ORDERS * square / (2 * variance) + np.minimum(small, 3 * l1 / (2 * variance))) * _UP


def slack_of(slack: float) -> Curve:
    """Return what it costs to be within a factor ``exp(+-slack)`` of a mechanism: ``slack (2a - 1) / (a - 1)``.

    In ``log(sum P^a Q^(1-a)) / (a - 1)``, ``P`` may be larger and ``Q`` smaller by that factor.
    """
    return slack * (2 * ORDERS - 1) / (ORDERS - 1)


def price(delta: float) -> Curve:
    """Return what each order adds to its cost to give epsilon at this delta.

    ``log((a-1)/a) - (log delta + log a) / (a - 1)`` (Canonne, Kamath and Steinke 2020, arXiv:2004.00010, Proposition
    12).
    """
    return np.log1p(-1 / ORDERS) - (math.log(delta) + np.log(ORDERS)) / (ORDERS - 1)


@final
@dataclass(frozen=True, slots=True, eq=False)
class RenyiProfile:
    """The profile that a curve implies.

    Attributes:
        curve: Cost at each order.
    """

    curve: Curve = field(repr=False)

    def epsilon(self, delta: float) -> float:
        """Return the smallest epsilon that any order gives."""
        return max(0.0, float((self.curve + price(delta)).min()))

    def delta(self, epsilon: float) -> float:
        """Return the smallest delta that any order gives: :func:`price`, solved for delta."""
        powers = (ORDERS - 1) * (self.curve - epsilon + np.log1p(-1 / ORDERS)) - np.log(ORDERS)
        return math.exp(min(0.0, float(powers.min())))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class RenyiBudget:
    """A budget at one order, which is chosen before the first event.

    An order that is chosen when the costs are known is a choice made while looking at outputs, and no filter.

    Attributes:
        epsilon: The budget.
        delta: The delta at which it is stated.
        order: One of :data:`ORDERS`; 0 for the one at which the budget has room for most Gaussian noise.

    Raises:
        ConfigError: If the order is none of them, or leaves room for nothing.
    """

    epsilon: float
    delta: float
    order: int = 0

    def __post_init__(self) -> None:
        """Refuse an order without a curve."""
        if self.order and self.order not in ORDERS:
            raise ConfigError(f"order is {self.order}; curves are known at {ORDERS.tolist()}")
        if not self.largest > 0:
            raise ConfigError(
                f"at order {ORDERS[self.place]} an epsilon of {self.epsilon:g} at delta {self.delta:g} has room for "
                f"nothing: delta alone costs {self.price:.4g}. Use a higher order, a larger epsilon or full batches"
            )

    @property
    def place(self) -> int:
        """Where the order stands in :data:`ORDERS`."""
        if self.order:
            return int(np.searchsorted(ORDERS, self.order))
        return int(np.argmax((self.epsilon - price(self.delta)) / ORDERS))

    @property
    def price(self) -> float:
        """What the order adds to a cost to give epsilon."""
        return float(price(self.delta)[self.place])

    @property
    def largest(self) -> float:
        """Largest cost that fits."""
        return self.epsilon - self.price
