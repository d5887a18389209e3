"""Encoding and private rounds on an accelerator, where one is at hand; skipped with its reason where none is.

Work: pictures through the image tower of ViT-B/32 with random weights (its speed does not depend on them), from arrays
on the host to unit features on the host, against the plain forward pass of the same tower over pictures that lie on the
device already, at the best batch size of a few. And one private step of a cache at ImageNet's scale (1,000 classes of
16 keys, 512 numbers a feature, 16 records a class): per-record gradients by their closed form, clipped and added, on
the device and on one thread of the host. Seconds are on the clock, after the device has finished.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import open_clip
import torch
from torch import Tensor

from securefed.adapters.clip import Clip
from securefed.adapters.placement import placement
from securefed.adapters.transform import Transform

ARCHITECTURE = "ViT-B-32"

BATCHES = (64, 128, 256, 512, 1024)


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures, or why there are none."""
    if not torch.cuda.is_available():
        return {"skipped": "no CUDA device is on this machine"}
    torch.set_num_threads(1)
    return measured("cuda", pictures=1_024 if quick else 16_384, classes=100 if quick else 1_000)


def measured(device: str, *, pictures: int, classes: int, architecture: str = ARCHITECTURE) -> dict[str, object]:
    """Return the figures of a device; ``cpu`` is for trying out the measurement itself."""
    model = model_of(architecture, device)
    pixels = np.random.default_rng(0).integers(0, 256, (pictures, *model.transform.size, 3), dtype=np.uint8)
    encoding = _seconds(lambda: model.encode_images(pixels), device)
    plain = {batch: _plain(model, batch, device) for batch in BATCHES if batch <= pictures}
    best = max(plain.values())
    steps = {where: _step(where, classes) for where in dict.fromkeys((device, "cpu"))}
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "pictures": pictures,
        "pictures_a_second": pictures / encoding,
        "plain_pictures_a_second": {str(batch): rate for batch, rate in plain.items()},
        "share_of_plain": pictures / encoding / best,
        "private_step_milliseconds": {where: 1000 * seconds for where, seconds in steps.items()},
    }


def model_of(architecture: str, device: str) -> Clip:
    """Return a model with random weights."""
    place = placement(device)
    model = open_clip.create_model(architecture, pretrained=None, precision=place.precision, device=place.device)
    return Clip(
        name=architecture,
        digest="0" * 64,
        dim=512,
        model=model.eval().requires_grad_(False),
        tokenizer=open_clip.get_tokenizer(architecture),
        transform=Transform.read(model.visual.preprocess_cfg),
        placement=place,
    )


@torch.inference_mode()
def _plain(model: Clip, batch: int, device: str) -> float:
    """Return pictures a second of the tower alone."""
    images = torch.randn(batch, 3, *model.transform.size, device=device, dtype=model.placement.dtype)
    return batch / _seconds(lambda: model.model.encode_image(images), device)


def _step(device: str, classes: int) -> float:
    """Return the seconds of one clipped sum over 16 records a class."""
    keys, text, features = (_unit(count, device) for count in (16 * classes, classes, 16 * classes))
    labels = torch.arange(16 * classes, device=device) % classes
    return _seconds(lambda: clipped_sum(keys, text, features, labels, clip_norm=1.0), device)


def clipped_sum(keys: Tensor, text: Tensor, features: Tensor, labels: Tensor, *, clip_norm: float) -> Tensor:
    """Return the sum of the records' clipped gradients with respect to the keys, as the cache adapter makes it.

    Keys lie class by class; chunks of records keep the affinities within memory.
    """
    total = torch.zeros_like(keys)
    for part, own in zip(features.split(2048), labels.split(2048), strict=True):
        left = _left(keys, text, part, own)
        factors = (clip_norm / (left.norm(dim=1) * part.norm(dim=1))).clamp(max=1)
        total += (left * factors[:, None]).T @ part
    return total


def _left(keys: Tensor, text: Tensor, features: Tensor, labels: Tensor) -> Tensor:
    """Return the left sides of the gradients' outer products, for a weight of 3 and a sharpness of 3."""
    affinity = torch.exp(3 * (features @ keys.T - 1))
    by_class = affinity.view(len(features), len(text), -1)
    error = torch.softmax(100 * features @ text.T + 3 * by_class.sum(dim=2), dim=1)
    error[torch.arange(len(labels), device=labels.device), labels] -= 1
    return 9 * (by_class * error[:, :, None]).view_as(affinity)


def _unit(count: int, device: str) -> Tensor:
    drawn = torch.randn(count, 512, generator=torch.Generator().manual_seed(count)).to(device)
    return torch.nn.functional.normalize(drawn, dim=1)


def _seconds(work: Callable[[], object], device: str) -> float:
    """Return the median seconds on the clock, of five after one that is not counted."""
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])
