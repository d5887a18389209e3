"""Make the table of what accuracy became of how much noise, from the grid that the published results are made of.

    python -m tools.regions

It reads ``benchmarks/results/seeds_cells.json`` (:mod:`benchmarks.seeds`; accuracy on held-out images of the domains
that clients hold) and writes ``securefed/assets/regions.json``: for each adapter and level of noise
(:class:`securefed.recipes.Choice`) the mean gain over zero-shot, each cell compared with zero-shot on the same images,
and its standard deviation over partitions and seeds. More noise cannot help: means that say otherwise by chance are
replaced by the closest ones that do not (isotonic regression). The bill of materials lists the file by its hash, so it
is written anew too.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from benchmarks.seeds import CELLS, CLIENTS, METHODS, PARTITIONS, PRIVACY, RECORDS, SEEDS
from securefed import recipes
from securefed.aggregation.parameters import default_threshold
from tools import release

OUT = Path(__file__).parent.parent / "securefed" / "assets" / "regions.json"

HONEST = default_threshold(CLIENTS) - 1
"""Shares of noise that count there: the most dropouts, and one colluder."""


def table(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole table."""
    zero = [cells[f"zero-shot | {seed}"]["seen"] for seed in range(SEEDS)]
    return {
        "source": "benchmarks/results/seeds_cells.json, by python -m tools.regions",
        "clients": CLIENTS,
        "records": RECORDS,
        "zero_shot": {"mean": statistics.mean(zero), "stdev": statistics.stdev(zero)},
        "adapters": {method: _rows(cells, method, zero) for method in METHODS},
    }


def _rows(cells: Mapping[str, Any], method: str, zero: list[float]) -> list[dict[str, float]]:
    """Return one adapter's gains, levels ascending."""
    found = sorted((_level(privacy), _gains(cells, method, privacy, zero)) for privacy in PRIVACY)
    levels, gains = [level for level, _ in found], [statistics.mean(each) for _, each in found]
    falling = IsotonicRegression(increasing=False).fit_transform(np.arange(len(gains)), gains)
    return [
        {"level": level, "gain": float(gain), "stdev": statistics.stdev(each)}
        for level, gain, (_, each) in zip(levels, falling, found, strict=True)
    ]


def _gains(cells: Mapping[str, Any], method: str, privacy: str, zero: list[float]) -> list[float]:
    return [
        cells[f"{method} | {spec} | {privacy} | {seed}"]["seen"] - zero[seed]
        for spec in PARTITIONS
        for seed in range(SEEDS)
    ]


def _level(privacy: str) -> float:
    choices = {"setting": "distributed", "epsilon": None, **PRIVACY[privacy]}
    return recipes.noise_level(**choices, delta=1e-5, clients=CLIENTS, honest=HONEST, records=RECORDS)


if __name__ == "__main__":
    OUT.write_text(json.dumps(table(json.loads(CELLS.read_text(encoding="utf-8"))), indent=1) + "\n", encoding="utf-8")
    release.describe_shipped()
