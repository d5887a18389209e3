"""In which region the accuracy of a plan will lie, and what would have to change to reach another.

A region is what was measured, not a promise: gains over zero-shot on held-out images of generated domains, with the
embedded model, by level of noise (:class:`securefed.recipes.Choice`). The table ``assets/regions.json`` was made by
``python -m tools.regions`` from the grid behind the published results. Other images and models have another zero-shot
accuracy and another gain; what carries over is how much of a gain a level of noise leaves.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from securefed import recipes
from securefed.adapters.facts import EMBEDDED
from securefed.errors import ConfigError
from securefed.plan import Plan
from securefed.privacy.gdp import gaussian_epsilon, mu_of
from securefed.reports.record import Json

TABLE = Path(recipes.__file__).parent / "assets" / "regions.json"


@cache
def table() -> dict[str, Any]:
    """Return what was measured."""
    return json.loads(TABLE.read_text(encoding="utf-8"))


def is_measured(plan: Plan) -> bool:
    """Return whether anything was measured for plans of this kind: model, adapter and unit of privacy."""
    return plan.model == EMBEDDED.name and plan.adapter.kind in table()["adapters"] and plan.unit == "record"


def region(plan: Plan) -> Json:
    """Return mean accuracy at the plan's level of noise, and one standard deviation either way.

    ``beyond`` says that there is more noise than was measured: the figures are those of the most that was.
    ``gain_kept`` is the share of the gain without privacy that is left.

    Raises:
        ConfigError: If nothing was measured for plans of this kind.
    """
    if not is_measured(plan):
        raise ConfigError(
            f"accuracy was measured with the embedded model, privacy of records and the adapters "
            f"{', '.join(table()['adapters'])}; nothing is known of {plan.adapter.kind} on {plan.model} that protects "
            f"each {plan.unit}. Leave --accuracy away, or try a run on public images"
        )
    level = level_of(plan)
    zero, gain, stdev = table()["zero_shot"]["mean"], gain_at(plan.adapter.kind, level), _stdev(plan, level)
    return {
        "level": level,
        "zero_shot": zero,
        "expected": zero + gain,
        "low": zero + gain - stdev,
        "high": zero + gain + stdev,
        "gain_kept": gain / gain_at(plan.adapter.kind, 0.0),
        "beyond": level > _column(plan.adapter.kind, "level")[-1],
    }


def level_of(plan: Plan) -> float:
    """Return a plan's level of noise, as if all its budget went into full batches."""
    return recipes.noise_level(
        setting=plan.setting,
        epsilon=plan.epsilon,
        delta=plan.delta,
        clients=plan.clients,
        honest=plan.honest_shares,
        records=plan.expected_records,
    )


def gain_at(kind: str, level: float) -> float:
    """Return the mean gain over zero-shot at a level of noise, linear between those that were measured."""
    return float(np.interp(level, _column(kind, "level"), _column(kind, "gain")))


def changes(plan: Plan, accuracy: float) -> list[Json]:
    """Return what would have to change to reach a wanted accuracy on the measured domains, each by itself.

    Returns:
        Rows of ``change``, ``now`` and ``needed``; ``needed`` is None where this alone cannot do it. No rows if the
        expected accuracy is reached already.

    Raises:
        ConfigError: See :func:`region`; and if no level of noise reaches it.
    """
    found = region(plan)
    wanted = accuracy - found["zero_shot"]
    if found["expected"] >= accuracy:
        return []
    most = gain_at(plan.adapter.kind, 0.0)
    if wanted > most:
        others = [kind for kind in table()["adapters"] if gain_at(kind, 0.0) >= wanted]
        raise ConfigError(
            f"accuracy {accuracy:g} is out of reach of less noise: without privacy {plan.adapter.kind} reached "
            f"{found['zero_shot'] + most:.3f} on the domains that it was measured on, "
            + (f"{' and '.join(others)} reached it" if others else "and no other adapter that was measured reached it")
            + ". Use other data, another model or adapter"
        )
    return [*_less_noise(plan, _level_for(plan.adapter.kind, wanted)), _another_adapter(plan, wanted)]


def _less_noise(plan: Plan, level: float) -> list[Json]:
    """Return what brings a plan's noise down to a level, each change by itself."""
    ratio = level_of(plan) / level if level else math.inf
    return [
        {"change": "epsilon", "now": plan.epsilon, "needed": _epsilon_for(plan, ratio)},
        {"change": "records", "now": plan.expected_records, "needed": _whole(plan.expected_records * ratio)},
        _fewer_tolerated(plan, ratio) if plan.setting == "distributed" else _shared(plan, ratio),
    ]


def _fewer_tolerated(plan: Plan, ratio: float) -> Json:
    """Return how many dropouts and colluders may be tolerated: the fewer, the smaller each share."""
    honest = _whole(plan.honest_shares * ratio**2)
    return {
        "change": "tolerated dropouts and colluders together",
        "now": plan.max_dropouts + plan.max_colluders,
        "needed": plan.clients - honest if honest is not None and honest <= plan.clients else None,
    }


def _shared(plan: Plan, ratio: float) -> Json:
    """Return whether it is enough that clients share the noise instead of adding all of it each."""
    enough = math.sqrt(plan.honest_shares) >= ratio
    return {"change": "setting", "now": plan.setting, "needed": "distributed" if enough else None}


def _another_adapter(plan: Plan, wanted: float) -> Json:
    level = level_of(plan)
    others = [kind for kind in table()["adapters"] if gain_at(kind, level) >= wanted]
    return {"change": "adapter", "now": plan.adapter.kind, "needed": " or ".join(others) or None}


def _epsilon_for(plan: Plan, ratio: float) -> float | None:
    """Return the epsilon with so many times less noise: the level falls as ``mu`` grows."""
    if not math.isfinite(ratio):
        return None
    return gaussian_epsilon(mu_of(plan.epsilon or 0.0, plan.delta) * ratio, plan.delta)


def _level_for(kind: str, wanted: float) -> float:
    """Return the most noise that still leaves a gain; gains fall as noise grows."""
    levels, gains = np.array(_column(kind, "level")), np.array(_column(kind, "gain"))
    last = int(np.flatnonzero(gains >= wanted)[-1])
    if last + 1 == len(gains):
        return float(levels[-1])
    share = (gains[last] - wanted) / (gains[last] - gains[last + 1])
    return float(levels[last] + share * (levels[last + 1] - levels[last]))


def _stdev(plan: Plan, level: float) -> float:
    return float(np.interp(level, _column(plan.adapter.kind, "level"), _column(plan.adapter.kind, "stdev")))


def _column(kind: str, name: str) -> list[float]:
    return [row[name] for row in table()["adapters"][kind]]


def _whole(value: float) -> int | None:
    return math.ceil(value) if math.isfinite(value) else None
