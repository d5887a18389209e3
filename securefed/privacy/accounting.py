"""What events cost.

One round of a noisy secure sum is accounted exactly like one Gaussian mechanism. Three steps lead there, each with an
explicit price that is added, never neglected:

1. The sum of ``m`` independent discrete Gaussians of parameter ``s`` is not a discrete Gaussian, but its probabilities
   lie within a factor ``exp(tau_1)`` of those of one of parameter ``s sqrt(m)``, with
   ``tau_1 = 10 d sum_{k=1}^{m-1} exp(-2 pi^2 s^2 k / (k+1))`` in ``d`` dimensions (Kairouz, Liu and Steinke 2021,
   arXiv:2102.06387, Theorem 1 and its proof).
2. A discrete Gaussian of parameter ``sigma`` around an integer point ``c`` lies within a factor ``exp(tau_2)`` of this
   post-processing of a continuous one: draw ``y`` from ``N(c, (sigma^2 - r^2) I)``, then ``x`` from the discrete
   Gaussian of parameter ``r`` around ``y``. By Poisson summation, the normaliser of the second draw is, per coordinate,
   ``r sqrt(2 pi) (1 + 2 sum_k exp(-2 pi^2 r^2 k^2) cos(2 pi k y))`` and so within a factor ``1 +- e`` of
   ``r sqrt(2 pi)``, ``e = 2 sum_k exp(-2 pi^2 r^2 k^2)``; integrating over ``y`` convolves the two Gaussians. Hence
   ``tau_2 = d (log(1 + e) - log(1 - e))``. With ``r = 2``, ``e`` is below ``1e-33``.
3. The continuous mechanism with noise ``sigma_1 = sqrt(sigma^2 - r^2)`` per coordinate and L2 sensitivity ``Delta`` is
   Gaussian: :mod:`securefed.privacy.gdp`.

On a Poisson sample the same holds for every sample, and therefore for the mixture over samples; the sampled Gaussian is
accounted for by its privacy loss distribution (dp-accounting). Queries about different parts of one partition touch
different records: only the part that was asked most counts.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np

from securefed.errors import ConfigError
from securefed.privacy import renyi
from securefed.privacy.events import Event, View, check_positive
from securefed.privacy.gdp import (
    ROOM,
    GaussianProfile,
    bisect,
    check_delta,
    gaussian_delta,
    gaussian_epsilon,
    mu_of,
)
from securefed.privacy.renyi import RenyiBudget, RenyiProfile
from securefed.privacy.shares import RADIUS, SumOfShares, l1_of

__all__ = [
    "Profile",
    "SumOfShares",
    "View",
    "best_order",
    "calibrate",
    "calibrate_mu",
    "calibrate_skellam",
    "delta",
    "epsilon",
    "epsilon_gaussian",
    "gaussian_delta",
    "gaussian_epsilon",
    "mu_of",
    "profile",
    "renyi_curve",
    "share_stddev",
]

INTERVAL = 1e-3
"""Grid of privacy losses; dp-accounting rounds towards more loss."""

LARGEST_MIXTURE = 12
"""Sampled events of different parameters that are convolved; more of them are accounted for by their Rényi costs."""


class Profile(Protocol):
    """What some events allow together, to anybody with the given view."""

    def epsilon(self, delta: float) -> float:
        """Return an epsilon that holds at this delta."""
        ...

    def delta(self, epsilon: float) -> float:
        """Return a delta that holds at this epsilon."""
        ...


@final
@dataclass(frozen=True, slots=True, eq=False)
class LossProfile:
    """The profile of a privacy loss distribution, and of what is within a factor ``exp(slack)`` of it.

    Attributes:
        losses: Of dp-accounting.
        slack: As in :class:`securefed.privacy.gdp.GaussianProfile`.
    """

    losses: Any
    slack: float

    def epsilon(self, delta: float) -> float:
        """Return the smallest epsilon at this delta."""
        return float(self.losses.get_epsilon_for_delta(delta * math.exp(-self.slack))) + 2 * self.slack

    def delta(self, epsilon: float) -> float:
        """Return the smallest delta at this epsilon."""
        return min(1.0, math.exp(self.slack) * float(self.losses.get_delta_for_epsilon(epsilon - 2 * self.slack)))


def epsilon(events: Iterable[Event], *, delta: float, view: View) -> float:
    """Return the epsilon of all events together: the tightest bound that is proved for them, slack included.

    Returns:
        For full batches and discrete Gaussian shares it is exact, and holds for parameters that were chosen while the
        run went on, too. With Poisson samples it holds for parameters that were fixed in advance (what a ledger checks,
        :mod:`securefed.privacy.filters`, holds in any case). Infinity if an event is of an unknown mechanism.

    Raises:
        ConfigError: If delta is out of bounds.
    """
    check_delta(delta)
    return profile(events, view=view).epsilon(delta)


def delta(events: Iterable[Event], *, epsilon: float, view: View) -> float:
    """Return the delta of all events together at one epsilon; the inverse of :func:`epsilon`."""
    return profile(events, view=view).delta(epsilon)


def profile(events: Iterable[Event], *, view: View) -> Profile:
    """Return what all events allow together."""
    counts = Counter(events)
    costs = gaussians_of(counts, view)
    if costs is None or len(costs.sampled) > LARGEST_MIXTURE:
        return RenyiProfile(renyi_curve(counts, view=view))
    if not costs.sampled:
        return GaussianProfile(mu=costs.mu, slack=costs.slack)
    return LossProfile(_losses(costs), costs.slack)


@final
@dataclass(frozen=True, slots=True)
class Gaussians:
    """Events that are all Gaussian.

    Attributes:
        mu: Of the one full-batch Gaussian mechanism that the events on full batches and parts amount to.
        sampled: How often each (noise multiplier, rate) was used on a Poisson sample.
        slack: Of all events.
    """

    mu: float
    sampled: Counter[tuple[float, float]]
    slack: float


def gaussians_of(counts: Counter[Event], view: View) -> Gaussians | None:
    """Return the events as Gaussian mechanisms; None if one of them is none."""
    squares: dict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    sampled: Counter[tuple[float, float]] = Counter()
    slack = 0.0
    for event, count in counts.items():
        cost, sampling = event.gaussian(view), event.sampling
        if cost is None:
            return None
        slack += count * cost.slack
        if sampling.rate < 1:
            sampled[cost.noise_multiplier, sampling.rate] += count
        else:
            squares[sampling.partition][sampling.part] += count / cost.noise_multiplier**2
    return Gaussians(math.sqrt(math.fsum(max(parts.values()) for parts in squares.values())), sampled, slack)


def renyi_curve(events: Iterable[Event], *, view: View) -> renyi.Curve:
    """Return the Rényi costs of all events together."""
    parts: dict[str, dict[int, renyi.Curve]] = defaultdict(dict)
    for event, count in Counter(events).items():
        curves, part = parts[event.sampling.partition], event.sampling.part
        curves[part] = curves.get(part, 0.0) + count * event.curve(view)
    return sum((np.max(list(curves.values()), axis=0) for curves in parts.values()), np.zeros(len(renyi.ORDERS)))


def _losses(costs: Gaussians) -> Any:
    """Return the privacy loss distribution of Gaussian events."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    def of(noise_multiplier: float, rate: float) -> Any:
        return pld.from_gaussian_mechanism(noise_multiplier, value_discretization_interval=INTERVAL, sampling_prob=rate)

    losses = [of(*cost).self_compose(count) for cost, count in costs.sampled.items()]
    if costs.mu:
        losses.append(of(1 / costs.mu, 1.0))
    total = losses[0]
    for other in losses[1:]:
        total = total.compose(other)
    return total


def calibrate(*, epsilon: float, delta: float, rounds: int, rate: float = 1.0, order: int = 0) -> float:
    """Return the smallest noise multiplier with which ``rounds`` queries are (epsilon, delta)-DP.

    On full batches it is exact. With a lower sampling rate it is the smallest that a ledger with this budget and the
    filter ``renyi`` or ``renyi-ORDER`` accepts.

    Raises:
        ConfigError: If a value is out of bounds.
    """
    if not (epsilon > 0 and math.isfinite(epsilon)):
        raise ConfigError(f"epsilon is {epsilon}; it must be positive and finite")
    check_delta(delta)
    if rounds < 1:
        raise ConfigError(f"rounds is {rounds}; at least one is needed")
    if not 0 < rate <= 1:
        raise ConfigError(f"rate is {rate}; a sampling rate lies above 0 and not above 1")
    if rate == 1:
        return math.sqrt(rounds) / mu_of(epsilon, delta)
    budget = RenyiBudget(epsilon=epsilon, delta=delta, order=order)
    cost = budget.largest / rounds
    return _smallest(lambda curve: bool(curve[budget.place] <= cost), rate)


def calibrate_skellam(*, epsilon: float, delta: float, rounds: int, sensitivity: float, dim: int) -> float:
    """Return the smallest noise multiplier with which ``rounds`` Skellam sums fit a ledger with the filter ``renyi``.

    Args:
        epsilon: The budget.
        delta: The budget's delta.
        rounds: Queries on full batches.
        sensitivity: L2 sensitivity in ring units; the smaller, the more the L1 term costs.
        dim: Coordinates of the sum.

    Raises:
        ConfigError: If a value is out of bounds.
    """
    check_positive(epsilon=epsilon, rounds=rounds, sensitivity=sensitivity, dim=dim)
    check_delta(delta)
    budget = RenyiBudget(epsilon=epsilon, delta=delta)
    l1 = l1_of(sensitivity, dim)

    def fits(inverse: float) -> bool:
        curve = renyi.skellam(l1=l1, l2=sensitivity, variance=(sensitivity / inverse) ** 2)
        return bool(rounds * curve[budget.place] <= budget.largest)

    return 1 / (bisect(fits)[0] * (1 - ROOM))


def calibrate_mu(*, mu: float, rounds: int) -> float:
    """Return the noise multiplier with which ``rounds`` queries on full batches are ``mu``-Gaussian DP together.

    Raises:
        ConfigError: If ``mu`` or ``rounds`` is out of bounds.
    """
    check_positive(mu=mu, rounds=rounds)
    return math.sqrt(rounds) / mu


def best_order(*, epsilon: float, delta: float, rounds: int, rate: float) -> int:
    """Return the order at which a Rényi filter accepts ``rounds`` Poisson samples with the least noise.

    Give it to a ledger when it is made: it is a choice on the plan, before anything was drawn.
    """
    costs = (epsilon - renyi.price(delta)) / rounds
    noise_multiplier = _smallest(lambda curve: bool((curve <= costs).any()), rate)
    return int(renyi.ORDERS[np.argmax(costs - renyi.sampled_gaussian(noise_multiplier, rate))])


def _smallest(fits: Callable[[renyi.Curve], bool], rate: float) -> float:
    """Return the smallest noise multiplier whose curve on a Poisson sample fits; rounded up."""
    return 1 / (bisect(lambda inverse: fits(renyi.sampled_gaussian(1 / inverse, rate)))[0] * (1 - ROOM))


def share_stddev(noise_multiplier: float, *, sensitivity: float, honest_shares: int) -> float:
    """Return the share that makes ``honest_shares`` of them as good as a Gaussian of this noise multiplier.

    The inverse of :meth:`SumOfShares.noise_multiplier`, rounded up.
    """
    exact = math.sqrt(((noise_multiplier * sensitivity) ** 2 + RADIUS**2) / honest_shares)
    return exact * (1 + 2.0**-40)


def epsilon_gaussian(noise_multiplier: float, *, rounds: int, delta: float) -> float:
    """Return the exact epsilon of ``rounds`` Gaussian mechanisms."""
    return gaussian_epsilon(math.sqrt(rounds) / noise_multiplier, delta) if noise_multiplier > 0 else math.inf
