"""The same epsilon by accountants that know nothing of one another: ours, dp-accounting's and Opacus'."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from securefed.errors import VerificationError
from securefed.privacy.accounting import INTERVAL, LARGEST_MIXTURE, Gaussians, epsilon, gaussians_of, renyi_curve
from securefed.privacy.events import Event, View
from securefed.privacy.renyi import RenyiProfile

PRECISION = 1e-2
"""Error of epsilon that Opacus' PRV accountant may make; it is added to its answer."""


def cross_check(events: Sequence[Event], *, delta: float, view: View) -> dict[str, float]:
    """Return epsilon by every accountant that can tell, none of which knows of another.

    Returns:
        ``stated`` (:func:`epsilon`), ``renyi`` (this package), and for Gaussian events ``pld`` and ``rdp``
        (dp-accounting) and ``prv`` (Opacus), each an upper bound.

    Raises:
        VerificationError: If they contradict their theory: PLD and PRV are tight, Rényi costs lie above them.
    """
    counts = Counter(events)
    found = {
        "stated": epsilon(events, delta=delta, view=view),
        "renyi": RenyiProfile(renyi_curve(counts, view=view)).epsilon(delta),
    }
    costs = gaussians_of(counts, view)
    if costs is not None and counts and len(costs.sampled) <= LARGEST_MIXTURE:
        found |= _peers(costs, delta)
    stated = found["stated"]
    agree = abs(found.get("pld", stated) - stated) <= 2e-3 * max(1.0, stated)
    # The upper end of PRV's interval, whose half width is half PRECISION.
    agree &= -2e-3 * max(1.0, stated) <= found.get("prv", stated) - stated <= 2 * PRECISION
    agree &= min(found["renyi"], found.get("rdp", math.inf)) >= stated * (1 - 1e-3) - 1e-9
    if not agree:
        raise VerificationError(f"accountants disagree beyond their theory: {found}; do not rely on this epsilon")
    return found


def _peers(costs: Gaussians, delta: float) -> dict[str, float]:
    """Return epsilon by dp-accounting's and Opacus' accountants."""
    import warnings

    import dp_accounting
    from dp_accounting import pld, rdp
    from opacus.accountants import PRVAccountant

    history = [(*cost, count) for cost, count in costs.sampled.items()]
    if costs.mu:
        history.append((1 / costs.mu, 1.0, 1))
    composed = dp_accounting.ComposedDpEvent(
        [
            dp_accounting.SelfComposedDpEvent(
                dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise_multiplier)), count
            )
            for noise_multiplier, rate, count in history
        ]
    )
    found = {
        name: float(accountant.compose(composed).get_epsilon(delta))
        for name, accountant in (
            ("pld", pld.PLDAccountant(value_discretization_interval=INTERVAL)),
            ("rdp", rdp.RdpAccountant()),
        )
    }
    opacus = PRVAccountant()
    opacus.history = history
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of logarithms of zero, which it handles
        return found | {"prv": float(opacus.get_epsilon(delta, eps_error=PRECISION))}
