"""What a run's epsilon means: by every accountant, at several deltas, and for somebody who tests for membership."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from securefed.privacy import accounting, membership
from securefed.privacy.crosscheck import cross_check
from securefed.privacy.events import Event, View

FPRS = (0.001, 0.01)
"""False positive rates at which the largest true positive rate is stated."""

STRICTER = (1.0, 0.1, 0.001)
"""Deltas at which epsilon is stated, as multiples of the target's."""

POINTS = 41
"""Of the curve of delta against epsilon."""


@lru_cache(maxsize=4096)
def epsilon(events: tuple[Event, ...], delta: float, view: View) -> float:
    """Return the epsilon of events; remembered, because clients of one run share theirs."""
    return accounting.epsilon(events, delta=delta, view=view)


def bounds(events: Sequence[Event], *, delta: float) -> dict[str, Any]:
    """Return what the events allow a coalition of the tolerated size, as plain values.

    Returns:
        ``accountants`` (epsilon by each; the tightest that is proved is the one stated), ``epsilon_at`` (by delta),
        ``delta_curve`` (pairs of epsilon and delta), ``mu`` (of a Gaussian profile that lies above), ``advantage``
        (largest true minus false positive rate of any membership test) and ``tpr_at_fpr``.

    Raises:
        VerificationError: If the accountants contradict their theory.
    """
    profile = accounting.profile(events, view="coalition")
    curve = membership.delta_curve(profile, points=POINTS)
    return {
        "accountants": cross_check(events, delta=delta, view="coalition"),
        "epsilon_at": {f"{delta * factor:.3g}": profile.epsilon(delta * factor) for factor in STRICTER},
        "delta_curve": [[float(e), float(d)] for e, d in zip(*curve, strict=True)],
        "mu": membership.fitted_mu(profile),
        "advantage": membership.advantage(profile),
        "tpr_at_fpr": {f"{rate:g}": membership.tpr_at_fpr(profile, rate) for rate in FPRS},
    }


def in_words(found: dict[str, Any], unit: str) -> str:
    """Return what the bounds promise to one unit."""
    few = ", ".join(f"{100 * tpr:.2g} % of them at {100 * float(fpr):g} %" for fpr, tpr in found["tpr_at_fpr"].items())
    return (
        f"Somebody who tests whether one {unit} took part, by any method and knowing everything else, finds at most "
        f"{100 * found['advantage']:.1f} % more of those who did than are accused falsely of those who did not. With "
        f"few false alarms, at most {few}."
    )
