"""The systems side by side: adapter x partition x privacy, five seeds, beside zero-shot and a linear probe.

Work: eight clients share 1,200 generated images of twelve objects and the ten digits in three of four visual domains,
none of which a hyper-parameter was chosen on. The fourth is left out, each in its turn over the seeds, so that every
adapter is also measured where nobody trained; and on the real handwritten digits, which nobody trained on either (among
all 22 classes). Noise, clipping, quantising and steps
are the plan's own, drawn anew for every cell as initial layers are; ledgers and masks, which change no figure, are left
out of the grid and measured by themselves (``cost``). Hyper-parameters are those of ``securefed.recipes``, chosen on
other domains. Held-out images are looked at once, at the end of a run.

Cells are kept in ``results/seeds_cells.json`` as they are measured, until their plan changes: a run that was stopped
goes on where it was. After a change of the code behind them, delete that file. FLoRA, whose last fit takes most of the
time, comes last.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from benchmarks import seeds_cost
from securefed import initial, recipes
from securefed.adapters import clip
from securefed.adapters.base import Adapter, top1
from securefed.data import datasets, partition, task
from securefed.data.images import Images
from securefed.data.world import DIGITS, OBJECTS
from securefed.encoding import Vector
from securefed.plan import Plan
from securefed.preparation import Encoded
from securefed.rng import secure, seeded
from securefed.rounds import ServerState
from securefed.training import clipped_sum

DOMAINS = ("sketch", "painting", "neon", "chalk")
DATA = f"world:{','.join(DOMAINS)}"
CLASSES = (*OBJECTS[:12], *DIGITS)
RECORDS, CLIENTS, SEEDS = 1200, 8, 5
METHODS = ("cachefl", "fedclip", "linear", "clip-adapter", "flora")
PARTITIONS = ("iid", "dirichlet:0.5", "dirichlet:0.1", "domain")
PRIVACY: Mapping[str, Mapping[str, Any]] = {
    "none": {"setting": "none"},
    **{f"distributed {epsilon}": {"epsilon": float(epsilon)} for epsilon in (8, 4, 2, 1)},
    "per-client 4": {"setting": "per-client", "epsilon": 4.0},
}
CELLS = Path(__file__).parent / "results" / "seeds_cells.json"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Everything of one seed that does not depend on adapter, partition or privacy."""

    loaded: task.Task
    train: Encoded
    tests: Mapping[str, Encoded]
    public: initial.Materials

    @classmethod
    def load(cls, model: clip.Clip, seed: int) -> Scene:
        """Render and encode."""
        loaded = task.load(DATA, seed=seed, records=RECORDS, classes=CLASSES, left_out=_left_out(seed))
        drawn = datasets.public_images(CLASSES, 80, rng=seeded(seed, "generated images"))
        real = datasets.load("digits", seed=seed)
        unseen = loaded.unseen or loaded.data.test
        parts = {"seen": loaded.data.test, "unseen": unseen, "real": among(real.train.joined(real.test))}
        encoded = {
            name: Encoded(model.encode_images(images.pixels), clip.as_tensor(images.labels))
            for name, images in {"train": loaded.data.train, "public": drawn, **parts}.items()
        }
        public = initial.Materials(
            model,
            CLASSES,
            clip.TEMPLATES,
            encoded["public"].features,
            encoded["public"].labels,
            images=True,
            rng=seeded(seed, "adapter"),
        )
        return cls(loaded, encoded["train"], {name: encoded[name] for name in parts}, public)

    def shards(self, spec: str, seed: int) -> Iterator[Encoded]:
        """Yield the records of each client."""
        parts = partition.partition(spec, self.loaded.data.train, CLIENTS, rng=seeded(seed, "partition"))
        for part in parts:
            yield Encoded(self.train.features[part], self.train.labels[part])


def among(digits: Images) -> Images:
    """Return the digits with their labels among all classes."""
    return replace(digits, labels=digits.labels + CLASSES.index(DIGITS[0]), class_names=CLASSES)


def run(quick: bool) -> dict[str, object]:
    """Measure what is missing and return all figures."""
    torch.set_num_threads(1)
    model = clip.load()
    scenes = [Scene.load(model, seed) for seed in range(1 if quick else SEEDS)]
    cells = {} if quick else _known()
    cells |= {f"zero-shot | {seed}": _zero_shot(scene) for seed, scene in enumerate(scenes)}
    for methods in (("linear",),) if quick else (METHODS[:-1], METHODS[-1:]):
        for seed, scene in enumerate(scenes):
            _measure_missing(cells, scene, methods, seed, keep=not quick)
    return {
        "data": {"trained": DATA, "records": RECORDS, "clients": CLIENTS, "classes": CLASSES, "delta": 1e-5},
        "figures": figures(cells),
        "cost": {method: seeds_cost.measure(method, quick=quick) for method in (("linear",) if quick else METHODS)},
    }


def _measure_missing(cells: dict[str, Any], scene: Scene, methods: Sequence[str], seed: int, *, keep: bool) -> None:
    for spec in PARTITIONS:
        for privacy in PRIVACY:
            for method in methods:
                plan = _plan(scene.loaded, method, privacy, seed, spec)
                key = f"{method} | {spec} | {privacy} | {seed}"
                if cells.get(key, {}).get("of") != plan.digest:
                    cells[key] = {"of": plan.digest, **measure(plan, scene)}
        if keep:
            _keep(cells)


def _left_out(seed: int) -> str:
    return DOMAINS[seed % len(DOMAINS)]


def _plan(loaded: task.Task, method: str, privacy: str, seed: int, spec: str) -> Plan:
    choices: dict[str, Any] = {"clients": CLIENTS, "secure": "plain", **PRIVACY[privacy]}
    return recipes.recipe(
        method,
        data=DATA,
        classes=CLASSES,
        partition=spec,
        left_out=_left_out(seed),
        seed=seed,
        loaded=loaded,
        **choices,
    )


def measure(plan: Plan, scene: Scene) -> dict[str, Any]:
    """Train once, and look at held-out images."""
    start = time.process_time()
    public = replace(scene.public, rng=seeded(plan.seed, "adapter"))
    state = ServerState.initial(initial.build(plan.adapter, public))
    shards = list(scene.shards(plan.partition, plan.seed))
    for _ in range(plan.rounds):
        total = np.sum([_sent(plan, state.adapter, shard) for shard in shards], axis=0)
        state = state.moved(plan, total * plan.encoding.step)
    adapter = state.released().adapter
    found = {name: images.accuracy(adapter) for name, images in scene.tests.items()}
    return {**found, "rounds": plan.rounds, "seconds": time.process_time() - start}


def _sent(plan: Plan, adapter: Adapter, shard: Encoded) -> Vector:
    """Return what one client adds to the sum, in ring units."""
    exact = clipped_sum(adapter, shard.features, shard.labels, clip_norm=plan.clip_norm)
    integers = plan.encoding.to_integers(exact)
    return (integers + plan.event.draw(rng=secure()) if plan.private else integers).astype(np.float64)


def _zero_shot(scene: Scene) -> dict[str, Any]:
    text = scene.public.text
    return {name: top1(images.features.double() @ text.T, images.labels) for name, images in scene.tests.items()}


def _known() -> dict[str, Any]:
    return json.loads(CELLS.read_text(encoding="utf-8")) if CELLS.exists() else {}


def _keep(cells: Mapping[str, Any]) -> None:
    part = CELLS.with_suffix(".part")
    part.write_text(json.dumps(cells, indent=0) + "\n", encoding="utf-8")
    part.replace(CELLS)


def figures(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return mean and standard deviation over seeds, by ``method | partition | privacy`` and for zero-shot."""
    groups: dict[str, list[Mapping[str, float]]] = {}
    for key, cell in cells.items():
        groups.setdefault(key.rpartition(" | ")[0], []).append(cell)
    return {name: _figures(group) for name, group in groups.items()}


def _figures(group: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {place: spread([cell[place] for cell in group]) for place in ("seen", "unseen", "real")}


def spread(values: list[float]) -> dict[str, object]:
    """Return mean, standard deviation and the values themselves."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "stdev": deviation, "each": values}
