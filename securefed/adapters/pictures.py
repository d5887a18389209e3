"""What a model can encode beside arrays: pictures that are decoded when they are asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol, final

from securefed.adapters.transform import Pixels


class Picture(Protocol):
    """One picture that is not decoded yet."""

    @property
    def name(self) -> str:
        """What its owner finds it by."""

    @property
    def content(self) -> bytes:
        """SHA-256 of all that :meth:`decode` depends on, 32 bytes."""

    def decode(self) -> Pixels:
        """Return RGB, uint8, shape ``(height, width, 3)``."""


class Pictures(Protocol):
    """A sequence of pictures, each read when it is asked for."""

    def __len__(self) -> int:
        """Return the number of pictures."""

    def __getitem__(self, index: int, /) -> Picture:
        """Read one picture."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One image of an array."""

    name: str
    pixels: Pixels

    @property
    def content(self) -> bytes:
        """SHA-256 of shape and pixels."""
        return hashlib.sha256(repr(self.pixels.shape).encode() + self.pixels.tobytes()).digest()

    def decode(self) -> Pixels:
        """Return the pixels."""
        return self.pixels


@final
@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """An array of images, shape ``(n, height, width, 3)``, as a sequence of pictures."""

    images: Pixels

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __getitem__(self, index: int) -> Row:
        """Return one image."""
        return Row(f"image {index}", self.images[index])
