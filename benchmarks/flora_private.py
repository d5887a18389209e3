"""Private FLoRA, six ways, at the same epsilon: gradients of the factors, or of the class texts that they make.

Work: full-batch private gradient descent of rank-2 factors in the embedded model's text tower (``out_proj``, alpha
32), on twelve objects in four domains and on the real digits; noise as in the distributed setting, Gaussian.
``factors`` clips each record's exact gradient with respect to ``A`` and ``B`` (``factors_b``: to ``B`` alone); the
others clip its gradient with respect to the class texts, and the server pulls the noisy sum back through the tower
(``pull_back``), fits the factors after every round (``distil_each``) or once at the end (``distil``; ``distil_plain``
without the public metric). ``prototypes`` are the noisy texts before the last fit: no FLoRA any more, and what the fit
can at best reach.

Every method has the same search, over the step, on generated domains that serve for nothing else, with noise; the clip
norm is the median norm on public images. Held-out data are looked at once, at the end of each run.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from securefed.adapters import clip, flora
from securefed.adapters.base import Adapter
from securefed.adapters.clip import Clip
from securefed.adapters.flora import LowRankText
from securefed.adapters.text_space import Distil, PullBack, TextSpace, When, second_moment
from securefed.adapters.text_tower import TextTower
from securefed.data import datasets
from securefed.data.world import DIGITS, OBJECTS
from securefed.privacy import accounting
from securefed.rng import seeded
from securefed.training import clipped_sum

RECORDS, DELTA, MOMENTUM = 1400, 1e-5, 0.5
EPSILONS = (None, 4.0, 1.0)
TUNING = ("world:relief,thermal,mosaic,stipple", OBJECTS[8:20])
TASKS = {"objects": ("world:sketch,painting,neon,chalk", OBJECTS[:12]), "digits": ("digits", DIGITS)}
STEPS = {
    "factors": (0.01, 0.03, 0.1),
    "factors_b": (0.01, 0.03, 0.1),
    "pull_back": (1e-4, 3e-4, 1e-3, 3e-3),
    "distil_each": (0.3, 1.0, 3.0, 10.0),
    "distil": (0.3, 1.0, 3.0, 10.0),
    "distil_plain": (0.3, 1.0, 3.0, 10.0),
}
ROUNDS, SEEDS = 10, 3


@final
@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Features of one task."""

    model: Clip
    classes: tuple[str, ...]
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    public: tuple[Tensor, Tensor]

    @classmethod
    def load(cls, model: Clip, name: str, classes: tuple[str, ...], *, seed: int, records: int) -> Task:
        """Render and encode."""
        data = datasets.load(name, seed=seed, records=records, classes=classes)
        images = datasets.public_images(classes, 40, rng=seeded(seed, "public"))
        parts = (
            (model.encode_images(part.pixels).double(), clip.as_tensor(part.labels))
            for part in (data.train, data.test, images)
        )
        return cls(model, classes, *parts)

    def adapter(self, method: str, seed: int) -> Adapter:
        """Return the initial adapter of a method."""
        tower = TextTower.of(self.model, self.classes, clip.TEMPLATES, precision=torch.float32)
        text = LowRankText.drawn(tower, rng=seeded(seed, "factors"))
        metric = second_moment(self.public[0])
        made: dict[str, Callable[[], Adapter]] = {
            "factors": lambda: flora.exact(text),
            "factors_b": lambda: flora.exact(text, trained="b"),
            "pull_back": lambda: self._of_texts(text, PullBack(), "every round"),
            "distil_each": lambda: self._of_texts(text, Distil(steps=20, metric=metric), "every round"),
            "distil": lambda: self._of_texts(text, Distil(metric=metric), "at the end"),
            "distil_plain": lambda: self._of_texts(text, Distil(), "at the end"),
        }
        return made[method]()

    def _of_texts(self, text: LowRankText, fit: PullBack | Distil, when: When) -> TextSpace:
        return flora.of_prototypes(text, clip=self.model, classes=self.classes, fit=fit, when=when)


@final
@dataclass(frozen=True, slots=True)
class Trained:
    """What a run ends with: accuracies before and after the server's last fit, and seconds a round."""

    moved: float
    released: float
    seconds: float


def train(task: Task, method: str, *, epsilon: float | None, step: float, rounds: int, seed: int) -> Trained:
    """Train with float noise of the right size for :data:`RECORDS` records, and look at held-out data."""
    adapter = task.adapter(method, seed)
    clip_norm = float(adapter.record_gradients(*task.public).norms().median())
    ratio = 0.0 if epsilon is None else math.sqrt(rounds) / accounting.mu_of(epsilon, DELTA)
    noise = seeded(seed, "noise").generator()
    velocity = np.zeros_like(adapter.vector())
    start = time.process_time()
    for _ in range(rounds):
        mean = clipped_sum(adapter, *task.train, clip_norm=clip_norm) / len(task.train[0]) / clip_norm
        mean += ratio / RECORDS * noise.standard_normal(len(mean))
        velocity = MOMENTUM * velocity + mean
        adapter = adapter.moved_to(adapter.vector() - step * velocity).settled()
    seconds = (time.process_time() - start) / rounds
    return Trained(adapter.accuracy(*task.test), adapter.released().accuracy(*task.test), seconds)


def search(task: Task, method: str, epsilon: float | None, *, quick: bool) -> dict[float, float]:
    """Return the accuracy of every step on the tuning task."""
    rounds, steps = (2, STEPS[method][1:2]) if quick else (ROUNDS, STEPS[method])
    return {step: train(task, method, epsilon=epsilon, step=step, rounds=rounds, seed=100).released for step in steps}


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    torch.set_num_threads(1)
    model = clip.load()
    tuning = Task.load(model, *TUNING, seed=77, records=80 if quick else 600)
    tried = {
        (method, epsilon): search(tuning, method, epsilon, quick=quick) for method in STEPS for epsilon in EPSILONS
    }
    rounds, seeds, records = (2, 1, 80) if quick else (ROUNDS, SEEDS, RECORDS)
    figures: dict[str, object] = {
        "records": RECORDS,
        "delta": DELTA,
        "rounds": rounds,
        "tuning": {"data": TUNING[0], "classes": TUNING[1]},
    }
    for name, (data, classes) in TASKS.items():
        tasks = [Task.load(model, data, classes, seed=seed, records=records) for seed in range(seeds)]
        figures[name] = {
            "zero_shot": _spread([task.adapter("pull_back", 0).accuracy(*task.test) for task in tasks]),
            **{_label(epsilon): _measured(tasks, epsilon, tried, rounds=rounds) for epsilon in EPSILONS},
        }
    return figures


def _measured(
    tasks: list[Task], epsilon: float | None, tried: dict[tuple[str, float | None], dict[float, float]], *, rounds: int
) -> dict[str, object]:
    found: dict[str, object] = {}
    for method in STEPS:
        accuracies = tried[method, epsilon]
        step = max(accuracies, key=lambda each: accuracies[each])
        runs = [
            train(task, method, epsilon=epsilon, step=step, rounds=rounds, seed=seed) for seed, task in enumerate(tasks)
        ]
        found[method] = {
            **_spread([each.released for each in runs]),
            "step": step,
            "tried": {f"{each:g}": accuracy for each, accuracy in accuracies.items()},
            "sent": len(tasks[0].adapter(method, 0).vector()),
            "seconds_a_round": statistics.median(each.seconds for each in runs),
        }
        if method == "distil":
            found["prototypes"] = _spread([each.moved for each in runs])
    return found


def _label(epsilon: float | None) -> str:
    return "none" if epsilon is None else f"epsilon {epsilon:g}"


def _spread(values: list[float]) -> dict[str, object]:
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "stdev": deviation, "each": values}
