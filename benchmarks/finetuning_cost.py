"""What adapters save against full fine-tuning: one client's local epoch in seconds, memory and bytes.

Work: 400 generated images of twelve classes, the embedded model, batches of 32, cross-entropy, one local epoch with
Adam, on one thread; the same trainer for all. ``full`` trains every parameter from pixels, in float32; FedCLIP, FLoRA
(exact gradients of its factors) and PromptFL train their parameters on features, in float64. ``from_pixels`` encodes
all images in every epoch, as the papers' own code does; ``from_features`` was given features that are encoded once in
a run. ``private_step`` is what a private round takes instead: one clipped sum of all records' gradients, of FLoRA
through its class texts. Each method runs in a process of its own; memory is the peak of its resident set above what
the process had with model and images loaded. Bytes are four a trained parameter, as the papers count them, one way.

Batches, threads and the model are small; what a ratio is on a large model it does not say.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from securefed.adapters import clip, flora
from securefed.adapters.cosine import CosineModel
from securefed.adapters.fedclip import FedCLIP
from securefed.adapters.finetune import FullModel
from securefed.adapters.flora import LowRankText
from securefed.adapters.prompts import Prompts
from securefed.adapters.published import Recipe, Trainer
from securefed.adapters.text_tower import TextTower
from securefed.adapters.through_text import ThroughText
from securefed.data import datasets
from securefed.data.world import OBJECTS
from securefed.rng import seeded
from securefed.training import clipped_sum

if TYPE_CHECKING:
    from torch import Tensor

    from securefed.adapters.base import Adapter
    from securefed.adapters.transform import Pixels

DATA, CLASSES, RECORDS = "world:sketch,painting,neon,chalk", OBJECTS[:12], 400
RECIPE = Recipe(learning_rate=5e-5, batch=32, epochs=1)
METHODS = ("full", "fedclip", "flora", "promptfl")


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    records, repetitions = (64, 1) if quick else (RECORDS, 5)
    found = {method: _alone(method, records, repetitions) for method in METHODS}
    full = found["full"]
    return {
        "records": records,
        "batch": RECIPE.batch,
        "methods": found,
        "full_over": {
            method: {
                name: full[key] / own[over]
                for name, key, over in (
                    ("parameters", "parameters", "parameters"),
                    ("bytes", "bytes", "bytes"),
                    ("seconds_from_pixels", "seconds_from_pixels", "seconds_from_pixels"),
                    ("seconds_from_features", "seconds_from_pixels", "seconds_from_features"),
                    ("peak_memory", "peak_megabytes", "peak_megabytes"),
                )
            }
            for method, own in found.items()
            if method != "full"
        },
    }


def _alone(method: str, records: int, repetitions: int) -> dict[str, Any]:
    """Measure one method in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, method, records, repetitions).result()


def _measured(method: str, records: int, repetitions: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    model = clip.load()
    images = datasets.load(DATA, seed=0, records=records, classes=CLASSES).train
    pixels, labels = np.asarray(images.pixels), clip.as_tensor(images.labels)
    model.encode_images(pixels[:1])  # what a first call sets up is no part of the method
    _forget_peak()
    before = _peak()
    trained = _model(method, model)
    if method == "full":
        seconds = _repeated(lambda: _epoch(trained, model.prepared(pixels), labels), repetitions)
        own = {"seconds_from_pixels": statistics.median(seconds)}
    else:
        own = _with_features(trained, model, pixels, labels, repetitions)
    size = len(trained.vector())
    return {"parameters": size, "bytes": 4 * size, "peak_megabytes": _peak() - before, **own}


def _with_features(
    trained: CosineModel, model: clip.Clip, pixels: Pixels, labels: Tensor, repetitions: int
) -> dict[str, Any]:
    """Measure an epoch with and without the image tower, and then a private step."""

    def from_pixels() -> None:
        _epoch(trained, model.encode_images(pixels).double(), labels)

    features = model.encode_images(pixels).double()
    own: dict[str, Any] = {
        "seconds_from_pixels": statistics.median(_repeated(from_pixels, repetitions)),
        "seconds_from_features": statistics.median(_repeated(lambda: _epoch(trained, features, labels), repetitions)),
    }
    private = _private(trained, model)
    if private is not None:
        step = _repeated(lambda: clipped_sum(private, features, labels, clip_norm=1.0), repetitions)
        own["seconds_of_private_step"] = statistics.median(step)
    return own


def _model(method: str, model: clip.Clip) -> CosineModel:
    made: dict[str, Callable[[], CosineModel]] = {
        "full": lambda: FullModel.of(model, CLASSES),
        "fedclip": lambda: FedCLIP.drawn(
            text=model.encode_classes(CLASSES), scale=model.logit_scale, rng=seeded(0, "layers")
        ),
        "flora": lambda: flora.exact(
            LowRankText.drawn(TextTower.of(model, CLASSES, clip.TEMPLATES), rng=seeded(0, "factors"))
        ),
        "promptfl": lambda: ThroughText.over(Prompts.from_words(model, CLASSES)),
    }
    return made[method]()


def _private(trained: CosineModel, model: clip.Clip) -> Adapter | None:
    """Return what a private run trains in its place."""
    if isinstance(trained, ThroughText) and isinstance(trained.encoder, LowRankText):
        return flora.of_prototypes(trained.encoder, clip=model, classes=CLASSES)
    return trained if isinstance(trained, FedCLIP) else None


def _epoch(trained: CosineModel, inputs: Tensor, labels: Tensor) -> None:
    Trainer(RECIPE, inputs, labels, rng=seeded(0, "batches")).trained(trained)


def _repeated(work: Callable[[], object], repetitions: int) -> list[float]:
    """Return process seconds of each repetition, after one that is not counted."""
    seconds = []
    for _ in range(repetitions + 1):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return seconds[1:]


def _peak() -> float:
    """Return the peak of this process' resident set since it was last forgotten, in megabytes, on Linux."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _forget_peak() -> None:
    """Let the peak start at what is resident now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
