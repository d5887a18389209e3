"""What epsilon becomes when more clients collude, or drop out, than a plan is sized for: exact, from its own noise.

A coalition knows the shares of its members, and a client that dropped out left none in the sum. What is left of the
noise are the shares of all others. Dropouts beyond the plan's open no sum, so nothing is released then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from securefed.plan import Plan
from securefed.privacy import accounting
from securefed.privacy.shares import Shares
from securefed.reports.record import Json

POINTS = 6
"""Numbers of colluders, besides those of the plan."""


def degradation(plan: Plan) -> list[Json]:
    """Return epsilon of a whole run for numbers of colluders and dropouts.

    Returns:
        Rows of ``colluders``, ``dropouts``, ``epsilon`` and ``planned``, which marks what the ledger charges; none
        without privacy. Under ``per-client`` every message is private by itself, so all rows are alike.
    """
    if not plan.private:
        return []
    known: dict[int, float] = {}
    return [
        {
            "colluders": colluders,
            "dropouts": dropouts,
            "epsilon": _epsilon(plan, colluders, dropouts, known),
            "planned": (colluders, dropouts) == (plan.max_colluders, plan.max_dropouts),
        }
        for dropouts in sorted({0, plan.max_dropouts})
        for colluders in _colluders(plan)
    ]


def _colluders(plan: Plan) -> list[int]:
    """Return numbers of colluders: none, the plan's, and up to all but one of those who may be left."""
    most = plan.threshold - 1
    spread = np.geomspace(1, most, POINTS) if most > POINTS else range(1, most + 1)
    return sorted({0, plan.max_colluders, *(round(float(number)) for number in spread)})


def _epsilon(plan: Plan, colluders: int, dropouts: int, known: dict[int, float]) -> float:
    """Return epsilon; it depends on how many shares are left, and is computed once for each number of them."""
    left = plan.clients - dropouts - colluders
    if plan.setting == "per-client":
        left, events = 0, list(plan.events)
    else:
        events = [replace(cast(Shares, event), max_colluders=colluders, max_dropouts=dropouts) for event in plan.events]
    if left not in known:
        known[left] = accounting.epsilon(events, delta=plan.delta, view="coalition")
    return known[left]
