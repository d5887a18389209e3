"""From images to a released adapter with an epsilon of 4: the whole run, against the same run put together from parts.

Work: real digits, eight clients, the embedded model, the cache adapter of the recipe, as many rounds as it says. Ours
is the complete run (``securefed.runs``): images encoded, every charge durable, exact integer noise, masked sums with
signatures and transcripts, and the report that is computed from what was written. ``ours_warm`` finds the features in
its cache. The peers' parts are open_clip's encoder behind its own image transform, Opacus' hooks for per-record
gradients and its accountant, Gaussian noise in floats from torch, and Flower's SecAgg+ for the sum: its own workflow
and mod, with messages handed over in memory; no ledger, no signatures, no transcript. ``lower_bound`` is the same
adapter's plain gradients in plain averages: no privacy, nothing secure. All start from the same public keys and take
the same steps; accuracy is on the same held-out images. What the peers' parts are not charged for: making those keys,
and knowing the bound of their quantisation. Each run is a process of its own on one thread in which the libraries are
loaded, the ways by turns; seconds on the clock, and those of the processor beside them, which waiting for the disk is
not part of: ours waits for it before every message that must not be sent twice.

``needed`` is the floor of the goal: the lower bound with its features in the cache, and after it, bare, as many
signatures, verifications, key agreements, random bits and durable commits as ``ours_warm`` makes: no message is
written, no vector masked, no noise shaped, nothing reported.

That is less than the peers' parts cost their users, whose SecAgg+ needs one of Flower's engines; see the next section.

Sharing secrets costs a peer's client the square of the cohort, so the same is measured with ``many`` clients, for a few
rounds.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dp_accounting.pld  # noqa: F401 - our report asks it; libraries of all sides are loaded before a clock starts
import numpy as np
import open_clip
import sklearn.datasets
import sklearn.model_selection  # noqa: F401 - the digits come from it
import torch
from opacus import GradSampleModule
from opacus.accountants import RDPAccountant
from opacus.accountants.utils import get_noise_multiplier
from PIL import Image
from torch import Tensor

from benchmarks import needed as primitives
from benchmarks.cohort import peak_megabytes
from benchmarks.flower_sum import FlowerSum
from benchmarks.timing import ratio
from securefed import recipes, runs
from securefed.adapters import clip
from securefed.adapters.cachefl import CacheFL
from securefed.data import task
from securefed.machine import Machine
from securefed.plan import Plan
from securefed.preparation import Materials, prepare
from securefed.reports.report import RunRecord, build
from securefed.stopwatch import Stopwatch

Figures = dict[str, Any]
Choices = dict[str, int]
Way = Callable[[Choices], Figures]


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    with tempfile.TemporaryDirectory() as cache:
        ways: dict[str, Way] = {
            "ours": ours,
            "ours_warm": partial(ours, cache=cache),
            "peers": peers,
            "lower_bound": lower_bound,
            "needed": partial(needed, cache=cache),
        }
        choices: Choices = {"rounds": 2} if quick else {}
        alone(ways["ours_warm"], choices)
        found = by_turns(ways, choices, 2 if quick else 5)
        many = {"rounds": 1, "clients": 12} if quick else {"rounds": 10, "clients": 32}
        beside = by_turns({name: ways[name] for name in ("ours", "ours_warm", "peers")}, many, 2)
    return {"epsilon": 4.0, **compared(found, choices), "many": compared(beside, many)}


def by_turns(ways: Mapping[str, Way], choices: Choices, repetitions: int) -> dict[str, list[Figures]]:
    """Return the figures of each way, each run in a fresh process."""
    found: dict[str, list[Figures]] = {name: [] for name in ways}
    for _ in range(repetitions):
        for name, way in ways.items():
            found[name].append(alone(way, choices))
    return found


def compared(found: Mapping[str, list[Figures]], choices: Choices) -> Figures:
    """Return the figures of each way, and ratios on the clock and of the processor."""

    def over(one: str, other: str, kind: str) -> dict[str, float]:
        return ratio([each[kind] for each in found[one]], [each[kind] for each in found[other]])

    plan = plan_of(choices)
    compared: Figures = {"rounds": plan.rounds, "clients": plan.clients}
    compared |= {name: _middle(repeated) for name, repeated in found.items()}
    for kind, ending in (("seconds", ""), ("processor_seconds", "_of_processor")):
        if kind not in found["peers"][0]:
            continue
        compared |= {f"speedup{ending}": over("peers", "ours", kind)}
        if "ours_warm" in found:
            compared |= {f"speedup_warm{ending}": over("peers", "ours_warm", kind)}
        if "lower_bound" in found:
            compared |= {f"ratio_to_lower_bound{ending}": over("ours", "lower_bound", kind)}
            compared |= {f"lower_bound_speedup{ending}": over("peers", "lower_bound", kind)}
            compared |= {f"needed_speedup{ending}": over("peers", "needed", kind)}
            compared |= {f"ratio_to_needed{ending}": over("ours_warm", "needed", kind)}
    return compared


def ours(choices: Choices, cache: str | None = None) -> Figures:
    """Carry out the plan and report on it."""
    machine = Machine(cache=None if cache is None else Path(cache))
    with tempfile.TemporaryDirectory() as folder:
        out, elapsed = Path(folder) / "run", clocks()
        runs.execute(plan_of(choices), out, machine=machine)
        done = elapsed()
        report = build(RunRecord.read(out))
        end = elapsed()
        stages = json.loads((out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])["seconds"]
    return {
        **end,
        "stages": {**stages, "report": end["seconds"] - done["seconds"]},
        "accuracy": report["accuracy"],
        "epsilon": report["epsilon"],
    }


def peers(choices: Choices) -> Figures:
    """Do the same work by parts of open_clip, Opacus and Flower."""
    plan, watch = plan_of(choices), Stopwatch()
    materials = prepare(plan)
    elapsed = clocks()
    with watch.stage("encode"):
        encode_by_open_clip(plan)
    with watch.stage("calibrate"):
        multiplier = multiplier_of(plan)
    accountant, secure_sum = RDPAccountant(), FlowerSum(plan.clients, threshold=plan.threshold)
    stddev = multiplier * plan.clip_norm / np.sqrt(plan.clients)

    def round_sum(adapter: CacheFL) -> np.ndarray:
        accountant.step(noise_multiplier=multiplier, sample_rate=1.0)
        with watch.stage("train and noise"):
            sums = [noisy_sum(adapter, shard.features, shard.labels, plan.clip_norm, stddev) for shard in shards]
        with watch.stage("secure sum"):
            return secure_sum(sums, bound=max(float(abs(own).max()) for own in sums))

    shards = list(materials.shards.values())
    adapter = _trained(plan, materials, round_sum)
    return {
        **elapsed(),
        "stages": watch.seconds,
        "accuracy": materials.test.accuracy(adapter),
        "epsilon": accountant.get_epsilon(plan.delta),
    }


def lower_bound(choices: Choices, cache: str | None = None) -> Figures:
    """Train the same adapter without privacy and without protection."""
    plan, elapsed = plan_of(choices), clocks()
    materials = prepare(plan, machine=Machine(cache=None if cache is None else Path(cache)))

    def round_sum(adapter: CacheFL) -> np.ndarray:
        total = np.zeros(plan.dim)
        for shard in materials.shards.values():
            gradients = adapter.record_gradients(shard.features, shard.labels)
            total += (gradients.left.T @ gradients.right).reshape(-1).numpy()
        return total

    # Whole gradients are longer than clipped ones: the same step in units of their common length.
    adapter = _trained(plan, materials, lambda now: _of_length(round_sum(now), plan.normaliser * plan.clip_norm))
    return {**elapsed(), "accuracy": materials.test.accuracy(adapter)}


def needed(choices: Choices, cache: str) -> Figures:
    """Train by the lower bound, and make the bare calls that ours cannot leave out."""
    plan = plan_of(choices)
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(cache=Path(cache))
        calls = primitives.calls_of(partial(runs.execute, plan, Path(folder) / "run", machine=machine))
    elapsed = clocks()
    plain = lower_bound(choices, cache)
    stages = {"training": plain["seconds"], **primitives.alone(calls, plan)}
    return {**elapsed(), "accuracy": plain["accuracy"], "stages": stages, "calls": calls}


def alone(way: Way, choices: Choices) -> Figures:
    """Return the figures of one run in a fresh process, with its peak memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, way, choices).result()


def _measured(way: Way, choices: Choices) -> Figures:
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clip.load()
        return {**way(choices), "peak_megabytes": peak_megabytes()}


def clocks() -> Callable[[], dict[str, float]]:
    """Return what tells the seconds since now, on the clock and of the processor."""
    clock, work = time.perf_counter(), time.process_time()
    return lambda: {"seconds": time.perf_counter() - clock, "processor_seconds": time.process_time() - work}


def _middle(found: list[Figures]) -> Figures:
    """Return the run whose seconds are in the middle, with the spread of all."""
    ordered = sorted(found, key=lambda each: each["seconds"])
    accuracy = statistics.mean(each["accuracy"] for each in found)
    spread = [ordered[0]["seconds"], ordered[-1]["seconds"]]
    return {**ordered[len(ordered) // 2], "accuracy": accuracy, "seconds_spread": spread}


def plan_of(choices: Choices) -> Plan:
    """Return the recipe's plan for real digits."""
    return recipes.cachefl(data="digits", epsilon=4.0, **choices)


def encode_by_open_clip(plan: Plan) -> None:
    """Encode every image behind open_clip's own transform, one picture after the other, in batches of 64."""
    data = task.load(plan.data, seed=plan.seed, records=plan.expected_records, classes=plan.classes).data
    model = clip.load().model
    transform = open_clip.image_transform(model.visual.image_size, is_train=False)
    for images in (data.train, data.test):
        pixels = [transform(Image.fromarray(each)) for each in np.asarray(images.pixels)]
        with torch.no_grad():
            for at in range(0, len(pixels), 64):
                model.encode_image(torch.stack(pixels[at : at + 64]), normalize=True)


class _Keys(torch.nn.Module):
    """The cache adapter for Opacus: the keys are the weight of a linear layer."""

    def __init__(self, adapter: CacheFL) -> None:
        super().__init__()
        self.public, self.values = adapter, adapter.values
        keys, dim = adapter.keys.shape
        self.cache = torch.nn.Linear(dim, keys, bias=False, dtype=torch.float64)
        self.cache.weight = torch.nn.Parameter(adapter.keys.clone())

    def forward(self, mapped: Tensor, zero_shot: Tensor) -> Tensor:
        affinity = torch.exp(-self.public.beta * (1 - self.cache(mapped)))
        return zero_shot + self.public.alpha * affinity @ self.values


def noisy_sum(adapter: CacheFL, features: Tensor, labels: Tensor, clip_norm: float, stddev: float) -> np.ndarray:
    """Return the peers' clipped and noisy sum of gradients, by Opacus' hooks."""
    features = features.double()
    mapped = features if adapter.whitening is None else adapter.whitening(features)
    module = GradSampleModule(_Keys(adapter), loss_reduction="sum")
    scores = module(mapped, adapter.zero_shot(features))
    torch.nn.functional.cross_entropy(scores, labels, reduction="sum").backward()
    samples = module._module.cache.weight.grad_sample
    factors = (clip_norm / samples.flatten(1).norm(dim=1)).clamp(max=1)
    total = torch.einsum("n,n...->...", factors, samples)
    return (total + stddev * torch.randn_like(total)).detach().reshape(-1).numpy()


def multiplier_of(plan: Plan) -> float:
    """Return the noise multiplier that Opacus' accountant asks for."""
    return float(
        get_noise_multiplier(
            target_epsilon=4.0, target_delta=plan.delta, sample_rate=1.0, steps=plan.rounds, accountant="rdp"
        )
    )


class Momentum:
    """The plan's step along a sum."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._velocity = plan, np.zeros(plan.dim)

    def __call__(self, adapter: CacheFL, total: np.ndarray) -> CacheFL:
        """Return the adapter after the next sum."""
        self._velocity = self._plan.momentum * self._velocity + total / self._plan.normaliser
        return adapter.moved_to(adapter.vector() - self._plan.learning_rate * self._velocity)


def _trained(plan: Plan, materials: Materials, round_sum: Callable[[CacheFL], np.ndarray]) -> CacheFL:
    """Move the public adapter along sums, by the plan's steps."""
    adapter = materials.adapter
    if not isinstance(adapter, CacheFL):
        raise TypeError("the recipe's adapter is the cache")
    moved = Momentum(plan)
    for _ in range(plan.rounds):
        adapter = moved(adapter, round_sum(adapter))
    return adapter


def _of_length(vector: np.ndarray, most: float) -> np.ndarray:
    return vector * min(1.0, most / float(np.linalg.norm(vector)))
