"""What was done, as events, and what it costs.

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
   Gaussian, so ``T`` rounds, chosen adaptively or not, have the exact profile of one Gaussian mechanism with
   ``mu^2 = sum_t (Delta_t / sigma_1t)^2`` (Balle and Wang 2018, arXiv:1805.06530, Theorem 8; Dong, Roth and Su 2019,
   arXiv:1905.02383, Corollary 3.3).

If all probabilities of the real mechanism are within ``exp(tau)`` of the ideal one, in sum over the rounds, then
``delta(eps) <= exp(tau) delta_ideal(eps - 2 tau)``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, final

from securefed.errors import ConfigError, VerificationError
from securefed.privacy.clipping import Adjacency

View: TypeAlias = Literal["server", "coalition"]
"""Whose eyes: the server and everybody outside, or the server together with the tolerated colluders."""

RADIUS = 2.0
"""``r`` of step 2, in ring units."""

LARGEST_SLACK = 1e-15
"""Largest ``tau`` of one round; above it the shares are too small for the argument and are refused."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SumOfShares:
    """One full-batch query whose noise is a sum of integer shares.

    Attributes:
        mechanism: ``discrete-gaussian-shares``; anything else costs infinity.
        sensitivity: L2 sensitivity of the encoded sum under ``adjacency``, in ring units.
        share_stddev: Parameter of one client's discrete Gaussian, in ring units.
        shares: Clients that add a share.
        max_dropouts: Of these, how many may be missing from the sum.
        max_colluders: Of these, how many may reveal their share.
        dim: Coordinates of the sum.
        unit: What one unit of privacy is.
        adjacency: Which data sets are neighbours.

    Raises:
        ConfigError: If a value is out of bounds or the shares are too small to account for.
    """

    sensitivity: float
    share_stddev: float
    shares: int
    max_dropouts: int
    max_colluders: int
    dim: int
    unit: str
    adjacency: Adjacency
    mechanism: str = "discrete-gaussian-shares"

    def __post_init__(self) -> None:
        """Refuse what could not be accounted for."""
        for name in ("sensitivity", "share_stddev"):
            if not (getattr(self, name) > 0 and math.isfinite(getattr(self, name))):
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be positive and finite")
        if self.dim < 1 or self.max_dropouts < 0 or self.max_colluders < 0 or self.honest("coalition") < 1:
            raise ConfigError(
                f"of {self.shares} shares {self.max_dropouts} may be missing and {self.max_colluders} revealed; "
                "at least one must remain"
            )
        if not self.slack("coalition") <= LARGEST_SLACK:
            raise ConfigError(
                f"share_stddev is {self.share_stddev:g} ring units; sums of shares this small are not close enough "
                "to a Gaussian. Use a smaller step or more bits"
            )

    def honest(self, view: View) -> int:
        """Return how many shares are in the sum and unknown to a viewer, at least."""
        return self.shares - self.max_dropouts - (self.max_colluders if view == "coalition" else 0)

    def slack(self, view: View) -> float:
        """Return ``tau_1 + tau_2``: how far the mechanism may be from a post-processed Gaussian."""
        square = self.share_stddev**2
        if square <= RADIUS**2:
            return math.inf
        sums = sum(math.exp(-2 * math.pi**2 * square * k / (k + 1)) for k in range(1, self.honest(view)))
        ripple = 2 * sum(math.exp(-2 * math.pi**2 * RADIUS**2 * k**2) for k in (1, 2, 3))
        return self.dim * (10 * sums + math.log1p(ripple) - math.log1p(-ripple))

    def noise_multiplier(self, view: View) -> float:
        """Return the ratio of the noise of the ideal Gaussian to the sensitivity."""
        return math.sqrt(self.honest(view) * self.share_stddev**2 - RADIUS**2) / self.sensitivity

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SumOfShares:
        """Read plain values.

        Raises:
            VerificationError: If they are not an event.
        """
        try:
            return cls(**{**values, "adjacency": Adjacency(values["adjacency"])})
        except (KeyError, TypeError, ValueError) as error:
            raise VerificationError(f"not an event: {error}") from error


def share_stddev(noise_multiplier: float, *, sensitivity: float, honest_shares: int) -> float:
    """Return the share that makes ``honest_shares`` of them as good as a Gaussian of this noise multiplier.

    The inverse of :meth:`SumOfShares.noise_multiplier`, rounded up.
    """
    exact = math.sqrt(((noise_multiplier * sensitivity) ** 2 + RADIUS**2) / honest_shares)
    return exact * (1 + 2.0**-40)


def calibrate(*, epsilon: float, delta: float, rounds: int) -> float:
    """Return the smallest noise multiplier with which ``rounds`` Gaussian mechanisms are (epsilon, delta)-DP.

    Raises:
        ConfigError: If ``epsilon``, ``delta`` or ``rounds`` is out of bounds.
    """
    if not (epsilon > 0 and math.isfinite(epsilon)):
        raise ConfigError(f"epsilon is {epsilon}; it must be positive and finite")
    _check_delta(delta)
    if rounds < 1:
        raise ConfigError(f"rounds is {rounds}; at least one is needed")
    return math.sqrt(rounds) / mu_of(epsilon, delta)


def mu_of(epsilon: float, delta: float) -> float:
    """Return the largest ``mu`` whose Gaussian profile meets (epsilon, delta); rounded down."""
    low, high = 0.0, 1.0
    while gaussian_delta(high, epsilon) <= delta:
        low, high = high, 2 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        if gaussian_delta(middle, epsilon) <= delta:
            low = middle
        else:
            high = middle
    # Room for the float error of the profile and for the slack of the shares, so that a ledger with exactly this budget
    # does not refuse the last round.
    return low * (1 - 1e-10)


def epsilon_gaussian(noise_multiplier: float, *, rounds: int, delta: float) -> float:
    """Return the exact epsilon of ``rounds`` Gaussian mechanisms."""
    return gaussian_epsilon(math.sqrt(rounds) / noise_multiplier, delta) if noise_multiplier > 0 else math.inf


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Return the exact ``delta(epsilon)`` of a Gaussian mechanism with ``mu = sensitivity / stddev``.

    ``Phi(mu/2 - eps/mu) - e^eps Phi(-mu/2 - eps/mu)`` (Balle and Wang 2018, Theorem 8), the second term through
    logarithms so that it does not overflow.
    """
    from scipy.special import log_ndtr, ndtr

    if mu in (0.0, math.inf):
        return 0.0 if mu == 0.0 else 1.0
    second = math.exp(epsilon + float(log_ndtr(-mu / 2 - epsilon / mu)))
    return max(float(ndtr(mu / 2 - epsilon / mu)) - second, 0.0)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the smallest epsilon with ``gaussian_delta(mu, epsilon) <= delta``; rounded up."""
    _check_delta(delta)
    if gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    if mu == math.inf:
        return math.inf
    low, high = 0.0, 1.0
    while gaussian_delta(mu, high) > delta:
        low, high = high, 2 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        if gaussian_delta(mu, middle) > delta:
            low = middle
        else:
            high = middle
    return high


def epsilon(events: Iterable[SumOfShares], *, delta: float, view: View) -> float:
    """Return the epsilon of all events together, exact up to the slack that it includes.

    Valid for events whose parameters were chosen while the run went on, too: a Gaussian's ``mu^2`` adds up under fully
    adaptive composition (Smith and Thakurta 2022, arXiv:2210.17520).

    Returns:
        An upper bound that no neighbour pair exceeds; infinity if any event is of an unknown mechanism.
    """
    _check_delta(delta)
    mu, slack = _composed(events, view)
    return gaussian_epsilon(mu, delta * math.exp(-slack)) + 2 * slack


def delta(events: Iterable[SumOfShares], *, epsilon: float, view: View) -> float:
    """Return the delta of all events together at one epsilon; the inverse of :func:`epsilon`."""
    mu, slack = _composed(events, view)
    return min(1.0, math.exp(slack) * gaussian_delta(mu, epsilon - 2 * slack))


def _composed(events: Iterable[SumOfShares], view: View) -> tuple[float, float]:
    """Return ``mu`` of the one Gaussian mechanism that all events amount to, and the slack of saying so."""
    counts = Counter(events)
    if any(event.mechanism != "discrete-gaussian-shares" for event in counts):
        return math.inf, 0.0
    square = math.fsum(count / event.noise_multiplier(view) ** 2 for event, count in counts.items())
    return math.sqrt(square), math.fsum(count * event.slack(view) for event, count in counts.items())


def cross_check(events: Sequence[SumOfShares], *, delta: float, view: View) -> dict[str, float]:
    """Return epsilon by three accountants that know nothing of one another.

    Returns:
        ``exact`` (this module), ``pld`` and ``rdp`` (dp-accounting).

    Raises:
        VerificationError: If they contradict their theory: PLD is an upper bound that is tight to a few thousandths,
        RDP
            is a looser one.
    """
    import dp_accounting
    from dp_accounting import pld, rdp

    found = {"exact": epsilon(events, delta=delta, view=view)}
    composed = dp_accounting.ComposedDpEvent(
        [
            dp_accounting.SelfComposedDpEvent(dp_accounting.GaussianDpEvent(event.noise_multiplier(view)), count)
            for event, count in Counter(events).items()
        ]
    )
    for name, accountant in (("pld", pld.PLDAccountant()), ("rdp", rdp.RdpAccountant())):
        found[name] = float(accountant.compose(composed).get_epsilon(delta))
    close = abs(found["pld"] - found["exact"]) <= 2e-3 * max(1.0, found["exact"])
    if not (close and found["rdp"] >= found["exact"] * (1 - 1e-6)):
        raise VerificationError(f"accountants disagree beyond their theory: {found}; do not rely on this epsilon")
    return found


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise ConfigError(f"delta is {delta}; it must lie between 0 and 1, far below 1 / records")
