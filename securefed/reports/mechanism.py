"""The numbers that noise and ring are made of, where randomness came from, and in which arithmetic."""

from __future__ import annotations

import math

from securefed.plan import Plan
from securefed.reports.record import Json


def mechanism(plan: Plan) -> Json:
    """Return what was clipped, how much noise was added, and in which units."""
    shown: Json = {
        "clip_norm": plan.clip_norm,
        "step": plan.encoding.step,
        "bits": plan.bits,
        "dim": plan.dim,
        "expected_records": plan.expected_records,
    }
    if plan.private:
        event = plan.event
        shown |= {
            "name": event.mechanism,
            "noise_multiplier": plan.noise_multiplier,
            "sensitivity_ring_units": event.sensitivity,
            "share_stddev_ring_units": event.share_stddev,
            "shares": event.shares,
            "max_dropouts": event.max_dropouts,
            "max_colluders": event.max_colluders,
            "sum_stddev": plan.share_stddev * math.sqrt(plan.clients) * plan.encoding.step,
        }
    return shown


def randomness(plan: Plan, *, secret: bool) -> dict[str, str]:
    """Return where random numbers came from."""
    source = "the operating system's generator" if secret else "a seed: whoever knows it can repeat them"
    found = {"keys": source, "data_choices": f"seed {plan.seed}: split, partition and generated images, nothing else"}
    if plan.private:
        found["noise"] = source
        found["noise_sampling"] = f"{plan.noise}, exact: integers, no value out of reach"
    return found


def numeric(plan: Plan) -> dict[str, str]:
    """Return in which arithmetic the run was made, and what rounding costs."""
    return {
        "gradients": f"64-bit floats, clipped per {plan.unit}, before anything is quantised",
        "quantisation": f"to the nearest multiple of {plan.encoding.step:.6g}, its worst case in the sensitivity",
        "noise": "integers, added after quantisation",
        "sums": f"integers modulo 2^{plan.bits}, exact; a plan that could overflow is refused",
        "accounting": "64-bit floats, every bound rounded towards more loss",
    }
