"""A drawing in a random pose, and what every style needs to colour it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from securefed.data.shapes import Canvas, Drawing, Field, Layer, Number, uniform, union

SIZE = 32
"""Height and width of every image, in pixels."""

Colour: TypeAlias = Field
"""RGB in ``[0, 1]``, shape ``(n, 1, 1, 3)``."""

Pose: TypeAlias = Callable[[Field, Field, int, np.random.Generator], tuple[Field, Field, Field]]
"""Moves the grid: ``(x, y, count, random)`` to coordinates in the drawing, and the scale of distances there."""


def object_pose(x: Field, y: Field, count: int, random: np.random.Generator) -> tuple[Field, Field, Field]:
    """Turn, shift, stretch and mirror."""
    angle, scale = uniform(random, count, -0.3, 0.3), uniform(random, count, 0.78, 1.08)
    u, v = _placed(x, y, angle, scale, random)
    return u * np.where(uniform(random, count, 0, 1) < 0.5, -1, 1).astype(np.float32), v, scale


def digit_pose(x: Field, y: Field, count: int, random: np.random.Generator) -> tuple[Field, Field, Field]:
    """Turn little, so that six and nine stay apart, never mirror, and slant as handwriting does."""
    angle, scale = uniform(random, count, -0.12, 0.12), uniform(random, count, 0.78, 1.3)
    u, v = _placed(x, y, angle, scale, random)
    return u - uniform(random, count, -0.25, 0.25) * v, v, scale


def _placed(x: Field, y: Field, angle: Field, scale: Field, random: np.random.Generator) -> tuple[Field, Field]:
    squeeze = uniform(random, len(angle), 0.9, 1.12)
    px, py = x - uniform(random, len(angle), -0.15, 0.15), y - uniform(random, len(angle), -0.15, 0.15)
    u = (np.cos(angle) * px + np.sin(angle) * py) / (scale * squeeze)
    return u, (-np.sin(angle) * px + np.cos(angle) * py) / scale


def cover(distance: Field) -> Field:
    """Return in ``[0, 1]`` how much of a pixel lies inside: edges are one pixel wide."""
    return np.clip(0.5 - distance * (SIZE / 2), 0, 1)


def over(image: Field, colour: Colour, amount: Field) -> Field:
    """Return an image with a colour painted over it by ``amount``, shape ``(n, size, size)``."""
    return image + (colour - image) * amount[..., None]


@final
@dataclass(frozen=True, slots=True)
class Scene:
    """Drawings of one class, before any style.

    Attributes:
        layers: What is drawn, in order.
        shape: Distance to everything drawn, ``(n, size, size)``.
        x: Coordinates of the untransformed grid, ``(1, size, size)``.
        y: Likewise.
        random: Of colours and texture.
    """

    layers: Sequence[Layer]
    shape: Field
    x: Field
    y: Field
    random: np.random.Generator

    @classmethod
    def draw(cls, drawing: Drawing, pose: Pose, count: int, random: np.random.Generator) -> Scene:
        """Draw one class ``count`` times, each in its own pose."""
        axis = ((np.arange(SIZE) + 0.5) / SIZE * 2 - 1).astype(np.float32)
        x, y = np.meshgrid(axis, -axis)
        u, v, scale = pose(x, y, count, random)
        layers = [(role, field * scale) for role, field in drawing(Canvas(u, v, random))]
        return cls(layers, union(*(field for _, field in layers)), x[None], y[None], random)

    @property
    def count(self) -> int:
        """How many images are drawn."""
        return len(self.shape)

    def any(self, low: float, high: float) -> Field:
        """Return one uniform number an image, shape ``(n, 1, 1)``."""
        return uniform(self.random, self.count, low, high)

    def colour(self, saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
        """Return a random colour an image, by hue, saturation and value."""
        hue, s, v = self.any(0, 6), self.any(*saturation), self.any(*value)
        offsets = np.array([5.0, 3.0, 1.0], np.float32)
        k = (offsets + hue[..., None]) % 6
        return v[..., None] * (1 - s[..., None] * np.clip(np.minimum(k, 4 - k), 0, 1))

    def noise(self, cells: int) -> Field:
        """Return smooth noise in ``[0, 1]``, shape ``(n, size, size)``, with about ``cells`` bumps a side."""
        coarse = self.random.random((self.count, cells + 1, cells + 1), dtype=np.float32)
        at = np.linspace(0, cells - 1e-3, SIZE, dtype=np.float32)
        i, f = at.astype(int), at % 1
        rows = coarse[:, i] * (1 - f)[:, None] + coarse[:, i + 1] * f[:, None]
        return rows[:, :, i] * (1 - f) + rows[:, :, i + 1] * f

    def grain(self) -> Field:
        """Return independent noise in ``[0, 1]`` for each pixel."""
        return self.random.random(self.shape.shape, dtype=np.float32)

    def palette(self, saturation: tuple[float, float], value: tuple[float, float]) -> dict[str, Colour]:
        """Return a colour for each role."""
        dark, light = self.colour((0, 0.4), (0.05, 0.2)), self.colour((0, 0.2), (0.85, 1))
        vivid = {role: self.colour(saturation, value) for role in ("main", "second", "accent")}
        return {**vivid, "dark": dark, "light": light}

    def outlines(self, width: Number) -> Field:
        """Return in ``[0, 1]`` how much a pixel belongs to the outline of some layer."""
        return np.maximum.reduce([cover(np.abs(field) - width) for _, field in self.layers])

    def painted(self, background: Field, palette: dict[str, Colour]) -> Field:
        """Return the layers in flat colours over a background, shape ``(n, size, size, 3)``."""
        image = np.broadcast_to(background, (self.count, SIZE, SIZE, 3))
        for role, field in self.layers:
            image = over(image, palette[role], cover(field))
        return image

    def gradient(self, first: Colour, second: Colour) -> Field:
        """Return a background that runs from one colour to another in a random direction."""
        angle = self.any(0, 6.28)
        t = (np.cos(angle) * self.x + np.sin(angle) * self.y + 1.4) / 2.8
        return over(np.broadcast_to(first, (self.count, SIZE, SIZE, 3)), second, np.clip(t, 0, 1))
