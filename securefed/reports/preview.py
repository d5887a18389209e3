"""What a plan costs, before anything runs."""

from __future__ import annotations

import math

from securefed.aggregation.topology import choose
from securefed.plan import Plan
from securefed.privacy import accounting
from securefed.reports.report import Json
from securefed.reports.side_by_side import side_by_side


def preview(plan: Plan) -> Json:
    """Return the figures that a plan implies, as plain values.

    ``noise_to_largest_signal`` compares, per round, the noise in the sum (its expected L2 norm) with the longest sum
    that the expected units can have: each at the clip bound and all in one direction. It does not depend on
    data.
    """
    shown: Json = {
        "data": plan.data,
        "clients": plan.clients,
        "setting": plan.setting,
        "rounds": plan.rounds,
        "expected_records": plan.expected_records,
        "dim": plan.dim,
        "clip_norm": plan.clip_norm,
        "bits": plan.bits,
    }
    if plan.private:
        noise = plan.share_stddev * plan.encoding.step * math.sqrt(plan.clients * plan.steps * plan.dim)
        shown |= {
            "epsilon_coalition": _epsilon(plan, "coalition"),
            "epsilon_server": _epsilon(plan, "server"),
            "delta": plan.delta,
            "noise_multiplier": plan.noise_multiplier,
            "noise_to_largest_signal": noise / (plan.clip_norm * plan.normaliser * plan.steps),
            "max_dropouts": plan.max_dropouts,
            "max_colluders": plan.max_colluders,
        }
    if plan.secure == "mask":
        topology = choose(plan.clients, plan.threshold)
        shown |= {
            "threshold": plan.threshold,
            "neighbours": topology.degree,
            "share_threshold": topology.share_threshold,
            "share_holders": topology.holders,
            "witnesses": topology.witnesses,
            "witness_threshold": topology.witness_threshold,
        }
    shown["vector_bytes_per_client_and_round"] = math.ceil(plan.dim * plan.bits / 8)
    return shown | side_by_side(plan)


def _epsilon(plan: Plan, view: accounting.View) -> float:
    return accounting.epsilon(plan.events, delta=plan.delta, view=view)
