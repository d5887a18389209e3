"""Images with their labels and domains, and the split that keeps some of them apart.

Pixels are either an array, as generated images are, or :class:`securefed.data.pictures.Pictures`, which are read and
decoded when they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from securefed.data.decode import Pixels
from securefed.data.pictures import Joined, Pictures
from securefed.data.world import Labels
from securefed.errors import DataError


@final
@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Images, what they show and in which domain.

    Attributes:
        pixels: RGB, uint8, shape ``(n, height, width, 3)``, or as many pictures that are not decoded yet.
        labels: Indices into ``class_names``, int64, shape ``(n,)``.
        domains: Indices into ``domain_names``, int64, shape ``(n,)``.
        class_names: Public and fixed.
        domain_names: Likewise.

    Raises:
        DataError: If the parts do not fit together.
    """

    pixels: Pixels | Pictures = field(repr=False)
    labels: Labels = field(repr=False)
    domains: Labels = field(repr=False)
    class_names: tuple[str, ...]
    domain_names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        if isinstance(self.pixels, np.ndarray) and (
            self.pixels.ndim != 4 or self.pixels.shape[3] != 3 or self.pixels.dtype != np.uint8
        ):
            raise DataError(
                f"pixels have shape {self.pixels.shape} and type {self.pixels.dtype}; images are (n, h, w, 3), uint8"
            )
        for kind, indices, names in (
            ("labels", self.labels, self.class_names),
            ("domains", self.domains, self.domain_names),
        ):
            if indices.shape != (len(self.pixels),) or indices.dtype != np.int64:
                raise DataError(
                    f"{kind} have shape {indices.shape} and type {indices.dtype}; "
                    f"{len(self.pixels)} images need shape ({len(self.pixels)},), int64"
                )
            if len(indices) and (indices.min() < 0 or indices.max() >= len(names)):
                raise DataError(f"{kind} lie in {indices.min()}..{indices.max()}; there are {len(names)} names")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.pixels)

    def take(self, indices: Labels) -> Images:
        """Return the images at the given positions, in that order."""
        pixels = self.pixels[indices] if isinstance(self.pixels, np.ndarray) else self.pixels.take(indices)
        return replace(self, pixels=pixels, labels=self.labels[indices], domains=self.domains[indices])

    def joined(self, other: Images) -> Images:
        """Return these images and, after them, others of the same classes and domains.

        Raises:
            DataError: If class or domain names differ, or only one of them is an array.
        """
        if (self.class_names, self.domain_names) != (other.class_names, other.domain_names):
            raise DataError("images of other classes or domains cannot be joined; labels would mean two things")
        return replace(
            self,
            pixels=_joined(self.pixels, other.pixels),
            labels=np.concatenate([self.labels, other.labels]),
            domains=np.concatenate([self.domains, other.domains]),
        )


def _joined(first: Pixels | Pictures, second: Pixels | Pictures) -> Pixels | Pictures:
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return np.concatenate([first, second])
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        raise DataError("an array and pictures that are not decoded yet cannot be joined")
    return Joined(first, second)


@final
@dataclass(frozen=True, slots=True)
class DataSet:
    """A named data set, split once.

    Attributes:
        name: What :func:`securefed.data.datasets.load` was asked for.
        train: What clients hold.
        test: Held out; nothing is ever chosen by it.
    """

    name: str
    train: Images
    test: Images
