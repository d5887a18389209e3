"""Encoding pictures on the processor: ours beside the bare image tower, and the tower as it might be faster.

Work: one batch through the image tower of the embedded model, and of ViT-B/32 with random weights (its speed does not
depend on them), on one thread. *Ours* is from bytes of pictures to unit features; the floor is the tower's own forward
pass over pictures that are scaled already. Beside it the same pass with weights and pictures in channels-last order, in
bfloat16, and compiled by ``torch.compile``, each as a ratio of the plain pass to it, by turns: above 1 it pays. What
compiling takes before the first batch is told apart, and after how many pictures that is won back. The package does
none of the three on a processor: a run has fewer pictures than that. On an accelerator see the measurement of that
name.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.accelerator import model_of
from benchmarks.timing import interleaved, ratio
from securefed.adapters import clip
from securefed.adapters.clip import Clip


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    torch.set_num_threads(1)
    found: dict[str, object] = {"securefed-tiny": measured(clip.load(), pictures=64, repetitions=3 if quick else 20)}
    if not quick:
        found["ViT-B-32"] = measured(model_of("ViT-B-32", "cpu"), pictures=16, repetitions=5)
    return {"models": found}


@torch.inference_mode()
def measured(model: Clip, *, pictures: int, repetitions: int) -> dict[str, object]:
    """Return the figures of one model."""
    pixels = np.random.default_rng(0).integers(0, 256, (pictures, *model.transform.size, 3), dtype=np.uint8)
    images = model.prepared(pixels)
    tower = model.model
    last, halves = copy.deepcopy(tower).to(memory_format=torch.channels_last), copy.deepcopy(tower).bfloat16()
    compiled = torch.compile(copy.deepcopy(tower).encode_image)
    start = time.perf_counter()
    compiled(images)
    compiling = time.perf_counter() - start
    ways: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: tower.encode_image(images),
        "channels_last": lambda: last.encode_image(images.contiguous(memory_format=torch.channels_last)),
        "bfloat16": lambda: halves.encode_image(images.bfloat16()),
        "compiled": lambda: compiled(images),
    }
    if (
        pictures == model.placement.batch
    ):  # ours fills a batch up: fewer pictures would pay for those that are not there
        ways["ours"] = lambda: model.encode_fitted(pixels)
    seconds = interleaved(ways, repetitions=repetitions)
    saved = (statistics.median(seconds["plain"]) - statistics.median(seconds["compiled"])) / pictures
    return {
        "pictures": pictures,
        "pictures_a_second": {name: pictures / statistics.median(each) for name, each in seconds.items()},
        "speedup": {name: ratio(seconds["plain"], each) for name, each in seconds.items()},
        "compiling_seconds": compiling,
        **({"pictures_until_compiling_pays": compiling / saved} if saved > 0 else {}),
    }
