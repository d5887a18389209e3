"""Public images that are drawn only if somebody looks at them.

What was encoded before has its features in a cache, where an entry is found by the picture's content. A drawing's
pixels follow from what was asked for and from what draws; so its content can be named without drawing it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from threading import Lock
from typing import final

import numpy as np

from securefed.data import datasets
from securefed.data.world import PUBLIC_DOMAINS, Labels, Pixels
from securefed.rng import seeded

DRAWN_BY = (
    "data/datasets.py",
    "data/numerals.py",
    "data/objects.py",
    "data/scene.py",
    "data/shapes.py",
    "data/styles.py",
    "data/world.py",
    "rng.py",
)
"""Source files that decide what a drawing's pixels are: a change in one of them makes all drawings other ones."""


def hand() -> str:
    """Return what draws, beside the processor: the SHA-256 of all of its source, and the version of numpy."""
    package = resources.files("securefed")
    digests = [hashlib.sha256(package.joinpath(name).read_bytes()).hexdigest() for name in DRAWN_BY]
    return json.dumps([*digests, np.__version__])


@final
@dataclass(frozen=True)
class Drawings:
    """Images of :func:`securefed.data.datasets.public_images` as a sequence, all drawn when one of them is decoded.

    Attributes:
        class_names: Classes of the world.
        per_class: Images of each.
        seed: Of the images.
        label: Of the stream of random numbers under this seed.
        domains: What they are drawn in.

    Raises:
        ConfigError: If a class is unknown or named twice.
        DataError: If ``per_class`` is below one.
    """

    class_names: tuple[str, ...]
    per_class: int
    seed: int
    label: str
    domains: Sequence[str] = PUBLIC_DOMAINS
    _drawing: Lock = field(default_factory=Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn, before anybody counts on it."""
        _ = self.labels

    @cached_property
    def labels(self) -> Labels:
        """What each image shows: indices into the class names, shape ``(n,)``."""
        return datasets.public_labels(self.class_names, self.per_class, domains=self.domains)

    @cached_property
    def recipe(self) -> bytes:
        """SHA-256 of all that the images' pixels follow from, on one processor."""
        asked = [self.class_names, self.per_class, self.seed, self.label, self.domains]
        return hashlib.sha256(json.dumps(["drawings", hand(), asked]).encode()).digest()

    @cached_property
    def _pixels(self) -> Pixels:
        rng = seeded(self.seed, self.label)
        drawn = datasets.public_images(self.class_names, self.per_class, domains=self.domains, rng=rng).pixels
        return np.asarray(drawn)

    def drawn(self, index: int) -> Pixels:
        """Return one image, RGB of type uint8, shape ``(height, width, 3)``; several threads may ask."""
        with self._drawing:
            return self._pixels[index]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, index: int) -> Drawing:
        """Return one image that is not drawn yet."""
        return Drawing(self, range(len(self))[index])


@final
@dataclass(frozen=True, slots=True)
class Drawing:
    """One of several drawings.

    Attributes:
        among: All of them.
        index: Its place.
    """

    among: Drawings
    index: int

    @property
    def name(self) -> str:
        """What it is called in a message."""
        return f"drawing {self.index}"

    @property
    def content(self) -> bytes:
        """SHA-256 of the recipe and the place, 32 bytes: what :meth:`decode` depends on."""
        return hashlib.sha256(self.among.recipe + self.index.to_bytes(8, "big")).digest()

    def decode(self) -> Pixels:
        """Return RGB, uint8, shape ``(height, width, 3)``."""
        return self.among.drawn(self.index)
