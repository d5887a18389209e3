"""A procedural world: 32 classes in twelve visual domains, 32 x 32 pixels, drawn from a seed.

The same shapes are rendered in ways that look nothing like one another, as in domain-adaptation benchmarks, but without
a byte to download and without a licence. Three groups of domains:

* :data:`PUBLIC_DOMAINS`: what the embedded CLIP model saw most in pretraining, and what cache keys are generated in.
* the others of :data:`DOMAINS`: what clients hold.
* :data:`SPARE_DOMAINS`: serve to choose hyper-parameters, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from securefed.data.numerals import DIGIT_DRAWINGS
from securefed.data.objects import OBJECT_DRAWINGS
from securefed.data.scene import SIZE, Scene, digit_pose, object_pose
from securefed.data.styles import STYLES
from securefed.errors import ChoiceError, DataError
from securefed.rng import Source

OBJECTS = tuple(OBJECT_DRAWINGS)
DIGITS = tuple(DIGIT_DRAWINGS)
CLASSES = OBJECTS + DIGITS
PUBLIC_DOMAINS = ("photo", "cartoon", "clipart", "silhouette")
DOMAINS = (*PUBLIC_DOMAINS, "sketch", "painting", "neon", "mosaic", "chalk", "stipple")
SPARE_DOMAINS = ("relief", "thermal")

Pixels: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]


def render(domain: str, labels: Labels, *, rng: Source) -> Pixels:
    """Draw one image a label.

    Args:
        domain: One of ``DOMAINS`` or ``SPARE_DOMAINS``.
        labels: Indices into ``CLASSES``, shape ``(n,)``.
        rng: Of pose, proportions, colours and texture; the same seed draws the same images.

    Returns:
        RGB, shape ``(n, 32, 32, 3)``.

    Raises:
        ConfigError: If the domain is unknown.
        DataError: If a label is no index into ``CLASSES``.
    """
    check_known("domain", domain, STYLES)
    if len(labels) and (labels.min() < 0 or labels.max() >= len(CLASSES)):
        raise DataError(f"labels lie in {labels.min()}..{labels.max()}; the world has classes 0..{len(CLASSES) - 1}")
    random = rng.generator()
    images = np.zeros((len(labels), SIZE, SIZE, 3), np.uint8)
    for label in np.unique(labels):
        where = np.flatnonzero(labels == label)
        scene = _scene(CLASSES[label], len(where), random)
        images[where] = (np.clip(STYLES[domain](scene), 0, 1) * 255).round().astype(np.uint8)
    return images


def _scene(name: str, count: int, random: np.random.Generator) -> Scene:
    if name in OBJECT_DRAWINGS:
        return Scene.draw(OBJECT_DRAWINGS[name], object_pose, count, random)
    return Scene.draw(DIGIT_DRAWINGS[name], digit_pose, count, random)


def class_indices(names: Sequence[str]) -> Labels:
    """Return the index into ``CLASSES`` of every name, shape ``(len(names),)``.

    Raises:
        ConfigError: If a name is unknown.
    """
    for name in names:
        check_known("class", name, CLASSES)
    return np.array([CLASSES.index(name) for name in names], np.int64)


def check_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Refuse an unknown name.

    Raises:
        ChoiceError: Naming the nearest known name and all others.
    """
    names = tuple(known)
    if name not in names:
        raise ChoiceError(kind, name, names)
