"""Choose CacheFL's hyper-parameters as a function of the noise, on generated domains that serve for nothing else.

    python -m tools.choose_cachefl

No client's data, no real image and no domain of a published figure is looked at: the stand-in tasks are objects and
digits in the spare domains and two of the hardest ones (:data:`TASKS`). For each level of noise a random search keeps
the choices with the best mean accuracy. What it writes, ``benchmarks/results/cachefl_choices.json``, is where the table
in ``securefed/recipes.py`` comes from.

The *noise level* is the standard deviation, per coordinate and in units of ``clip_norm``, that the mean gradient would
carry if the whole budget were spent in one round. Spent over ``T`` rounds, each carries ``sqrt(T)`` times as much. A
table of its own serves client-level privacy, where :data:`CLIENTS` whole updates are clipped instead of records.
"""

from __future__ import annotations

import itertools
import json
import math
import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from securefed import rng
from securefed.adapters import clip
from securefed.adapters.base import Adapter
from securefed.adapters.cachefl import CacheFL
from securefed.choices import CacheChoices
from securefed.data import datasets, world
from securefed.encoding import Vector
from securefed.training import clipped_sum, clipped_update

DOMAINS = "world:relief,thermal,mosaic,stipple"
TASKS = (("objects", world.OBJECTS[:12], 3200), ("digits", world.DIGITS, 1440))
LEVELS = {"record": (0.0, 3e-4, 5e-4, 1e-3, 3e-3, 1e-2), "client": (1e-2, 3e-2, 1e-1, 3e-1)}
STEPS = {"record": (0.5, 1.0, 2.0, 4.0, 8.0, 16.0), "client": (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)}
CLIENTS = 32
TRIALS, FINALISTS = 80, 8
OUT = Path(__file__).parent.parent / "benchmarks" / "results" / "cachefl_choices.json"


@final
@dataclass(frozen=True, slots=True)
class Choice:
    """One point of the search."""

    alpha: float
    beta: float
    keys_per_class: int
    shrinkage: float
    relative_clip: float
    step: float
    momentum: float
    rounds: int


def draws(unit: str, seed: int) -> Iterator[Choice]:
    """Return points of the search, at random."""
    random = rng.seeded(seed, "search").generator()
    while True:
        yield Choice(
            alpha=float(random.choice([1.0, 3.0, 10.0, 30.0])),
            beta=float(random.choice([0.5, 1.0, 2.0])),
            keys_per_class=int(random.choice([1, 2, 4])),
            shrinkage=float(random.choice([0.01, 0.03, 0.1])),
            relative_clip=float(random.choice([0.01, 0.03, 0.1, 0.3])),
            step=float(random.choice(STEPS[unit])),
            momentum=float(random.choice([0.0, 0.5, 0.9])),
            rounds=int(random.choice([10, 20, 40])),
        )


@final
@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Features of one stand-in task."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    public: tuple[Tensor, Tensor]
    text: Tensor
    scale: float

    @classmethod
    def load(cls, model: clip.Clip, classes: tuple[str, ...], records: int) -> Task:
        """Render and encode."""
        data = datasets.load(DOMAINS, seed=77, records=records, classes=classes)
        images = datasets.public_images(classes, CacheChoices().images_per_class, rng=rng.seeded(78))
        train, test, public = (
            (model.encode_images(part.pixels), clip.as_tensor(part.labels)) for part in (data.train, data.test, images)
        )
        return cls(train, test, public, model.encode_classes(classes), model.logit_scale)

    def mean(self, adapter: Adapter, unit: str, bound: float) -> Vector:
        """Return the mean over units of what each adds, clipped to ``bound``."""
        if unit == "record":
            return clipped_sum(adapter, *self.train, clip_norm=bound) / len(self.train[0])
        parts = zip(*(tensor.tensor_split(CLIENTS) for tensor in self.train), strict=True)
        updates = [clipped_update(adapter, *part, clip_norm=bound, steps=1, learning_rate=0.0) for part in parts]
        return np.mean(updates, axis=0)

    def accuracy(self, choice: Choice, unit: str, level: float, *, seed: int) -> float:
        """Train with float noise of the right size, and return held-out accuracy."""
        adapter: Adapter = CacheFL.from_generated(
            *self.public,
            text=self.text,
            scale=self.scale,
            alpha=choice.alpha,
            beta=choice.beta,
            keys_per_class=choice.keys_per_class,
            shrinkage=choice.shrinkage,
        )
        noise = rng.seeded(seed, "noise").generator()
        bound = choice.relative_clip * choice.alpha * choice.beta * math.sqrt(2 * choice.keys_per_class)
        velocity = np.zeros_like(adapter.vector())
        for _ in range(choice.rounds):
            mean = self.mean(adapter, unit, bound) / bound
            mean += level * math.sqrt(choice.rounds) * noise.standard_normal(len(mean))
            velocity = choice.momentum * velocity + mean
            adapter = adapter.moved_to(adapter.vector() - choice.step * velocity)
        return adapter.accuracy(*self.test)


def search(tasks: dict[str, Task], place: tuple[str, float]) -> dict[str, object]:
    """Return the best choice at one level of noise, with its accuracies."""
    torch.set_num_threads(1)
    unit, level = place
    started = time.perf_counter()
    source = draws(unit, round(1e6 * level))
    scored = [
        (sum(task.accuracy(choice, unit, level, seed=0) for task in tasks.values()), choice)
        for choice in itertools.islice(source, TRIALS)
    ]
    scored.sort(key=lambda pair: -pair[0])
    best, figures = max(
        ((choice, repeated(tasks, choice, unit, level)) for _, choice in scored[:FINALISTS]),
        key=lambda pair: sum(sum(values) for values in pair[1].values()),
    )
    means = {name: sum(values) / len(values) for name, values in figures.items()}
    print(unit, level, best, means, f"{time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return {"unit": unit, "level": level, **asdict(best), "accuracy": means}


def main() -> None:
    """Search all levels, two at a time, and keep what was found."""
    model = clip.load()
    tasks = {name: Task.load(model, classes, records) for name, classes, records in TASKS}
    zero_shot = {
        name: float((clip.zero_shot(t.test[0], t.text) == t.test[1]).double().mean()) for name, t in tasks.items()
    }
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(partial(search, tasks), [(unit, level) for unit in LEVELS for level in LEVELS[unit]]))
    kept = {"domains": DOMAINS, "model": model.digest, "zero_shot": zero_shot, "trials": TRIALS, "choices": found}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def repeated(tasks: dict[str, Task], choice: Choice, unit: str, level: float) -> dict[str, list[float]]:
    """Return accuracies over three draws of the noise."""
    return {name: [task.accuracy(choice, unit, level, seed=seed) for seed in (1, 2, 3)] for name, task in tasks.items()}


if __name__ == "__main__":
    main()
