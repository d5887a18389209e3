"""What a profile means for somebody who guesses whether one unit was in the data.

Every figure is a bound over all attackers, whatever they know and compute.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from securefed.errors import ConfigError
from securefed.privacy.accounting import Profile
from securefed.privacy.gdp import GaussianProfile, bisect, gaussian_delta

Points: TypeAlias = npt.NDArray[np.float64]

FINEST_DELTA = 1e-9
"""Epsilons are looked at up to the one that holds at this delta."""

POINTS = 200


def delta_curve(profile: Profile, points: int = POINTS) -> tuple[Points, Points]:
    """Return epsilons from 0 up, and the delta of each, shapes ``(points,)``."""
    last = profile.epsilon(FINEST_DELTA)
    if not math.isfinite(last):
        return np.zeros(1), np.ones(1)
    epsilons = np.linspace(0.0, last, points)
    return epsilons, np.array([profile.delta(float(epsilon)) for epsilon in epsilons])


def advantage(profile: Profile) -> float:
    """Return the largest difference between true and false positive rate: ``delta(0)``, the total variation."""
    return profile.delta(0.0)


def tpr_at_fpr(profile: Profile, fpr: float) -> float:
    """Return the largest true positive rate at a false positive rate.

    For every (epsilon, delta) that holds, ``TPR <= e^eps FPR + delta`` and ``1 - FPR <= e^eps (1 - TPR) + delta``
    (Wasserman and Zhou 2010; Dong, Roth and Su 2019, Proposition 2.5); the smallest of these bounds.

    Raises:
        ConfigError: If ``fpr`` is not a rate.
    """
    if not 0 <= fpr <= 1:
        raise ConfigError(f"fpr is {fpr}; a rate lies between 0 and 1")
    epsilons, deltas = delta_curve(profile)
    one = np.exp(np.minimum(epsilons, 700.0)) * fpr + deltas
    other = 1 - np.exp(-epsilons) * (1 - fpr - deltas)
    return float(min(1.0, one.min(), other.min()))


def fitted_mu(profile: Profile) -> float:
    """Return the smallest ``mu`` whose Gaussian profile lies above this one, at every delta down to ``FINEST_DELTA``.

    Exact for Gaussian profiles; Gomez et al. 2025 (arXiv:2503.10945) say why this one number is worth reporting.
    """
    if isinstance(profile, GaussianProfile) and profile.slack < FINEST_DELTA:
        return profile.mu
    epsilons, deltas = delta_curve(profile)
    if deltas[0] >= 1:
        return math.inf
    return max(_mu_through(float(epsilon), float(delta)) for epsilon, delta in zip(epsilons, deltas, strict=True))


def _mu_through(epsilon: float, delta: float) -> float:
    """Return the smallest ``mu`` with at least this delta at this epsilon, rounded up."""
    return bisect(lambda mu: gaussian_delta(mu, epsilon) < delta)[1] if delta > 0 else 0.0
