"""Rows and adversaries in words, for people who decide whether a game is the one that they fear."""

from __future__ import annotations

from typing import Any

from securefed.threat_models.adversaries import Adversary, Sight
from securefed.threat_models.game import Arm, Row

SIGHTS = {
    Sight.PLAN: "the plan",
    Sight.START: "the initial adapter",
    Sight.RELEASED: "the released adapter",
    Sight.ADAPTERS: "every adapter",
    Sight.SUMS: "the sum of every round",
    Sight.SURVIVORS: "who was in each sum",
    Sight.MESSAGES: "every message's bytes",
    Sight.SIZES: "who sends how many bytes to whom, and in which phase",
    Sight.RECORDS: "the records of the clients that it controls",
}


def seen(adversary: Adversary) -> list[str]:
    """Return what an adversary sees."""
    return [SIGHTS[sight] for sight in Sight if sight in adversary.sees]


def described(row: Row) -> dict[str, Any]:
    """Return a row as plain values."""
    return {
        "row": row.id,
        "title": row.title,
        "adversary": row.adversary.id,
        "capability": row.adversary.capability,
        "sees": seen(row.adversary),
        "deviates": "may send what no honest party would" if row.adversary.deviates else "follows the protocol",
        "corrupts": row.adversary.corrupts,
        "measure": row.measure,
        "covers": sorted(row.covers),
        "arms": [_arm(arm) for arm in row.arms],
    }


def _arm(arm: Arm) -> dict[str, Any]:
    claim = {
        "control": f"must succeed, at {arm.limit or 0:g} or more",
        "claimed": "must not exceed " + ("the bound or chance" if arm.limit is None else f"{arm.limit:g}"),
        "none": "measured only",
    }
    return {"defences": arm.defences, "setting": arm.setting, "secure": arm.secure, "claim": claim[arm.claim]}
