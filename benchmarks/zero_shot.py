"""What the embedded CLIP model knows before anybody trains: zero-shot accuracy by domain.

Beside it, what a linear classifier gains that sees all training features at once, without privacy.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from securefed.adapters import clip
from securefed.data import datasets, world
from securefed.data.datasets import DataSet, Images
from securefed.rng import seeded

PER_CLASS = 50
MIXTURE = "world:sketch,neon,chalk,painting"


def accuracy(model: clip.Clip, images: Images) -> float:
    """Return the zero-shot accuracy among the classes of the images."""
    guess = clip.zero_shot(model.encode_images(images.pixels), model.encode_classes(images.class_names))
    return round(float((guess == clip.as_tensor(images.labels)).double().mean()), 4)


def together(data: DataSet) -> Images:
    """Return all images of a data set: nothing was trained or chosen on either split."""
    return data.train.joined(data.test)


def by_domain(model: clip.Clip, domain: str) -> dict[str, float]:
    """Return the accuracy on objects and on digits of one domain."""
    source = seeded(2024, "zero-shot", domain)
    groups = {"objects": world.OBJECTS, "digits": world.DIGITS}
    return {
        kind: accuracy(model, datasets.public_images(names, PER_CLASS, domains=[domain], rng=source))
        for kind, names in groups.items()
    }


def linear(model: clip.Clip, data: DataSet) -> float:
    """Return the accuracy of a linear classifier that sees all training features at once: what there is to gain."""
    train, test = (standard(model.encode_images(images.pixels)) for images in (data.train, data.test))
    scaler = StandardScaler().fit(train)
    fitted = LogisticRegression(C=0.01, max_iter=500).fit(scaler.transform(train), data.train.labels)
    return round(float(fitted.score(scaler.transform(test), data.test.labels)), 4)


def standard(features: Tensor) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return features as scikit-learn takes them."""
    return features.double().numpy()


def mixture(model: clip.Clip, name: str, classes: tuple[str, ...]) -> dict[str, float]:
    """Return zero-shot accuracy and linear ceiling of a data set, means of three seeds."""
    sets = [datasets.load(name, seed=seed, classes=classes) for seed in range(3)]
    return {
        "zero_shot": round(float(np.mean([accuracy(model, data.test) for data in sets])), 4),
        "linear": round(float(np.mean([linear(model, data) for data in sets])), 4),
    }


def mixtures(model: clip.Clip) -> dict[str, dict[str, float]]:
    """Return what there is to gain on the mixtures of domains that clients hold."""
    return {
        f"{MIXTURE} (12 objects)": mixture(model, MIXTURE, world.OBJECTS[:12]),
        f"{MIXTURE} (22 objects)": mixture(model, MIXTURE, world.OBJECTS),
        "world:relief,thermal (12 objects)": mixture(model, "world:relief,thermal", world.OBJECTS[:12]),
        "world:mosaic (22 objects)": mixture(model, "world:mosaic", world.OBJECTS),
    }


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures; quick leaves out the mixtures."""
    start = time.perf_counter()
    model = clip.load()
    loaded = time.perf_counter()
    real = datasets.load("digits", seed=0)
    domains = {domain: by_domain(model, domain) for domain in (*world.DOMAINS, *world.SPARE_DOMAINS)}
    encoded = time.perf_counter()
    model.encode_images(real.train.pixels)
    rate = len(real.train) / (time.perf_counter() - encoded)
    return {
        "model": model.name,
        "sha256": model.digest,
        "logit_scale": round(model.logit_scale, 2),
        "images_per_class": PER_CLASS,
        "zero_shot": domains,
        "real_digits": {"zero_shot": accuracy(model, together(real)), "linear": linear(model, real)},
        "mixtures": {} if quick else mixtures(model),
        "load_seconds": round(loaded - start, 2),
        "images_per_second": round(rate),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
