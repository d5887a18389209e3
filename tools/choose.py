"""Choose hyper-parameters as a function of the noise, on generated domains that serve for nothing else.

    python -m tools.choose [KIND ..]

No client's data, no real image and no domain of a published figure is looked at: the stand-in tasks are objects and
digits in the spare domains and two of the hardest ones (:data:`DOMAINS`). For each adapter and level of noise a random
search keeps the choices with the best mean accuracy. It writes ``benchmarks/results/KIND_choices.json`` and from it the
adapter's rows of ``securefed/assets/recipes.json``.

The *noise level* is the standard deviation, per coordinate and in units of ``clip_norm``, that the mean gradient would
carry if the whole budget were spent in one round. Spent over ``T`` rounds, each carries ``sqrt(T)`` times as much. A
table of its own serves client-level privacy, where :data:`CLIENTS` whole updates are clipped instead of records.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from securefed import initial, recipes, rng
from securefed.adapter_choices import KINDS, AnyAdapter, CacheChoices
from securefed.adapters import clip, through_text
from securefed.adapters.base import Adapter
from securefed.adapters.facts import EMBEDDED
from securefed.adapters.text_tower import jacobian
from securefed.data import datasets, world
from securefed.encoding import Vector
from securefed.recipes import Choice
from securefed.training import clipped_sum, clipped_update

DOMAINS = "world:relief,thermal,mosaic,stipple"
TASKS = (("objects", world.OBJECTS[:12], 3200), ("digits", world.DIGITS, 1440))
LEVELS = {"record": (0.0, 3e-4, 1e-3, 3e-3, 1e-2), "client": (3e-2, 3e-1)}
FEW_LEVELS = {"record": (0.0, 1e-3, 1e-2), "client": (1e-1,)}
"""For prompts, whose gradients take longest."""
CACHE_LEVELS = {"record": (0.0, 3e-4, 5e-4, 1e-3, 3e-3, 1e-2), "client": (1e-2, 3e-2, 1e-1, 3e-1)}
CLIENTS = 32
ROUNDS = (10, 20, 40)
MOMENTA = (0.0, 0.5, 0.9)

STEPS: Mapping[str, tuple[float, ...]] = {
    "fedclip": (0.1, 0.3, 1.0, 3.0, 10.0),
    "flora": (0.1, 0.3, 1.0, 3.0),
    "linear": (0.1, 0.3, 1.0, 3.0),
    "clip-adapter": (0.1, 0.3, 1.0, 3.0, 10.0),
    "prompts": (0.01, 0.03, 0.1, 0.3),
}
"""How far the parameters move in a round at most, without momentum; of each record's whole data."""

CACHE_STEPS = {"record": (0.5, 1.0, 2.0, 4.0, 8.0, 16.0), "client": (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)}
CLIPS: Mapping[str, tuple[float, ...]] = {
    "cachefl": (0.01, 0.03, 0.1, 0.3),
    "fedclip": (1e-3, 3e-3, 1e-2, 3e-2, 0.1),
    "prompts": (0.03, 0.1, 0.3),
}
OWN: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "cachefl": {
        "alpha": (1.0, 3.0, 10.0, 30.0),
        "beta": (0.5, 1.0, 2.0),
        "keys_per_class": (1, 2, 4),
        "shrinkage": (0.01, 0.03, 0.1),
    },
    "clip-adapter": {"ratio": (0.2, 0.5, 0.8)},
}
"""What is searched of the adapters themselves; those of the others are as published."""

TRIALS = {"cachefl": 80, "fedclip": 10, "flora": 12, "linear": 16, "clip-adapter": 10, "prompts": 4}
FINALISTS = {"cachefl": 8, "prompts": 1}
RECORDS = {"cachefl": 3200, "prompts": 400}
"""At most, of each task: adapters that take longer are searched with fewer."""

FOLDER = Path(__file__).parent.parent / "benchmarks" / "results"


def draws(kind: str, unit: str, level: float) -> Iterator[Choice]:
    """Return points of the search, at random."""
    random = rng.seeded(round(1e6 * level), "search", kind, unit).generator()
    steps = CACHE_STEPS[unit] if kind == "cachefl" else STEPS[kind]
    while True:
        own = {name: random.choice(values).item() for name, values in OWN.get(kind, {}).items()}
        yield Choice(
            unit=unit,
            level=level,
            adapter=own,
            relative_clip=float(random.choice(CLIPS.get(kind, (0.01, 0.03, 0.1, 0.3)))),
            step=float(random.choice(steps)),
            momentum=float(random.choice(MOMENTA)),
            rounds=int(random.choice(ROUNDS if kind == "cachefl" else ROUNDS[:2])),
        )


@final
@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Features of one stand-in task."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    public: initial.Materials

    @classmethod
    def load(cls, model: clip.Clip, classes: tuple[str, ...], records: int) -> Task:
        """Render and encode."""
        data = datasets.load(DOMAINS, seed=77, records=records, classes=classes)
        images = datasets.public_images(classes, CacheChoices().images_per_class, rng=rng.seeded(78))
        train, test, public = (
            (model.encode_images(part.pixels), clip.as_tensor(part.labels)) for part in (data.train, data.test, images)
        )
        materials = initial.Materials(model, classes, clip.TEMPLATES, *public, images=True, rng=rng.seeded(79))
        return cls(train, test, materials)

    def mean(self, adapter: Adapter, unit: str, bound: float) -> Vector:
        """Return the mean over units of what each adds, clipped to ``bound``."""
        if unit == "record":
            return clipped_sum(adapter, *self.train, clip_norm=bound) / len(self.train[0])
        parts = zip(*(tensor.tensor_split(CLIENTS) for tensor in self.train), strict=True)
        updates = [clipped_update(adapter, *part, clip_norm=bound, steps=1, learning_rate=0.0) for part in parts]
        return np.mean(updates, axis=0)

    def accuracy(self, adapter: AnyAdapter, choice: Choice, *, seed: int, last: bool) -> float:
        """Train with float noise of the right size, and return held-out accuracy."""
        current = initial.build(adapter, self.public)
        noise = rng.seeded(seed, "noise").generator()
        bound = choice.relative_clip * adapter.norm(EMBEDDED.scale, EMBEDDED.dim)
        velocity = np.zeros_like(current.vector())
        for _ in range(choice.rounds):
            mean = self.mean(current, choice.unit, bound) / bound
            mean += choice.level * math.sqrt(choice.rounds) * noise.standard_normal(len(mean))
            velocity = choice.momentum * velocity + mean
            current = current.moved_to(current.vector() - choice.step * velocity).settled()
        return (current.released() if last else current).accuracy(*self.test)


def search(kind: str, tasks: Mapping[str, Task], unit: str, level: float) -> dict[str, Any]:
    """Return the best choice at one level of noise, with its accuracies."""
    started = time.perf_counter()
    trials = itertools.islice(draws(kind, unit, level), TRIALS[kind])
    scored = [(sum(repeated(kind, tasks, choice, (0,), last=False).values()), choice) for choice in trials]
    scored.sort(key=lambda pair: -pair[0])
    best, means = max(
        ((choice, repeated(kind, tasks, choice, (1, 2))) for _, choice in scored[: FINALISTS.get(kind, 2)]),
        key=lambda pair: sum(pair[1].values()),
    )
    print(kind, best, means, f"{time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return {**asdict(best), "accuracy": means}


def repeated(
    kind: str, tasks: Mapping[str, Task], choice: Choice, seeds: tuple[int, ...], *, last: bool = True
) -> dict[str, float]:
    """Return mean accuracies over draws of the noise, after the server's last fit or before it."""
    adapter = recipes.adapter_of(kind, choice, EMBEDDED)
    return {
        name: sum(task.accuracy(adapter, choice, seed=seed, last=last) for seed in seeds) / len(seeds)
        for name, task in tasks.items()
    }


def main() -> None:
    """Search the named kinds, or all, and keep what was found."""
    torch.set_num_threads(1)
    model = clip.load()
    # All clients differentiate the same public texts in a step: here once is enough.
    with mock.patch.object(through_text, "jacobian", lru_cache(maxsize=1)(jacobian)):
        for kind in sys.argv[1:] or KINDS:
            choose(kind, model)


def choose(kind: str, model: clip.Clip) -> None:
    """Search one kind, and keep what was found."""
    tasks = {name: Task.load(model, classes, min(most, RECORDS.get(kind, 1600))) for name, classes, most in TASKS}
    places = {"cachefl": CACHE_LEVELS, "prompts": FEW_LEVELS}.get(kind, LEVELS)
    found = [search(kind, tasks, unit, level) for unit, levels in places.items() for level in levels]
    zero_shot = {
        name: float((clip.zero_shot(t.test[0], t.public.text.float()) == t.test[1]).double().mean())
        for name, t in tasks.items()
    }
    kept = {"domains": DOMAINS, "model": model.digest, "zero_shot": zero_shot, "choices": found}
    (FOLDER / f"{kind}_choices.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    tabulate(kind, found)


def tabulate(kind: str, found: list[dict[str, Any]]) -> None:
    """Write one adapter's rows into the package's table."""
    rows = json.loads(recipes.TABLE.read_text(encoding="utf-8"))
    rows[kind] = [{name: value for name, value in choice.items() if name != "accuracy"} for choice in found]
    recipes.TABLE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
