"""The same whole run against the peers' parts on the engine that their users run them on.

Work: that of the section before, with the same eight clients, rounds and public keys. The peers' parts are a Flower app
on Flower's simulation engine: its default workflow with SecAgg+ inside, ray's workers as clients, its start included.
They encode every image, as in the section before; ours does so, and from a warm cache does not. Seconds on the clock,
the ways by turns, libraries of the first process loaded.
"""

from __future__ import annotations

import importlib.util
import tempfile
from functools import partial

import numpy as np

from benchmarks.end_to_end import (
    Choices,
    Figures,
    Momentum,
    Way,
    alone,
    by_turns,
    clocks,
    compared,
    encode_by_open_clip,
    multiplier_of,
    noisy_sum,
    ours,
    plan_of,
)
from benchmarks.flower_simulated import Federation
from securefed.adapters.cachefl import CacheFL
from securefed.preparation import Encoded, prepare


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    if importlib.util.find_spec("ray") is None:
        return {"skipped": "ray is not installed: pip install 'securefed[simulation]'"}
    choices: Choices = {"rounds": 2} if quick else {}
    with tempfile.TemporaryDirectory() as cache:
        warm = partial(ours, cache=cache)
        alone(warm, choices)
        ways: dict[str, Way] = {"ours": ours, "ours_warm": warm, "peers": peers}
        return {"epsilon": 4.0, **compared(by_turns(ways, choices, 2 if quick else 3), choices)}


def peers(choices: Choices) -> Figures:
    """Do what the peers' parts do, on Flower's engine; on the clock, since ray's workers are other processes."""
    plan = plan_of(choices)
    materials = prepare(plan)
    adapter, shards = materials.adapter, list(materials.shards.values())
    if not isinstance(adapter, CacheFL):
        raise TypeError("the recipe's adapter is the cache")
    multiplier = multiplier_of(plan)
    noisy = partial(_noisy, plan.clip_norm, multiplier * plan.clip_norm / np.sqrt(plan.clients))
    bound = 2 * max(float(abs(noisy(adapter, shard)).max()) for shard in shards)
    moved = Momentum(plan)
    federation = Federation(adapter, shards, noisy, moved, plan.rounds, plan.threshold, bound)
    with federation.ready() as simulate:
        elapsed = clocks()
        encode_by_open_clip(plan)
        multiplier_of(plan)
        released = simulate()
        seconds = elapsed()["seconds"]
    return {"seconds": seconds, "accuracy": materials.test.accuracy(released)}


def _noisy(clip_norm: float, stddev: float, adapter: CacheFL, shard: Encoded) -> np.ndarray:
    return noisy_sum(adapter, shard.features, shard.labels, clip_norm, stddev)
