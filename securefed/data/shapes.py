"""What the procedural world is made of: signed distances to a few shapes.

Distances are in units where the image spans ``[-1, 1]`` both ways, y up, negative inside; every array has shape
``(n, size, size)`` and every jittered number shape ``(n, 1, 1)``, so that one call draws a whole group of images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias, final

import numpy as np
import numpy.typing as npt

Field: TypeAlias = npt.NDArray[np.floating[Any]]
Number: TypeAlias = "Field | np.floating[Any] | float"
Layer: TypeAlias = tuple[str, Field]
"""A role (``main``, ``second``, ``accent``, ``dark`` or ``light``: the domain gives it a colour) and a distance."""

Drawing: TypeAlias = Callable[["Canvas"], list[Layer]]
"""A class: the layers to paint, in order."""


def uniform(random: np.random.Generator, count: int, low: float, high: float) -> Field:
    """Return one uniform number an image, shape ``(count, 1, 1)``."""
    return random.uniform(low, high, (count, 1, 1)).astype(np.float32)


@final
@dataclass(frozen=True, slots=True)
class Canvas:
    """Coordinates of ``n`` images, and the shapes that can be drawn on them.

    Attributes:
        x: Shape ``(n, size, size)``.
        y: Shape ``(n, size, size)``.
        random: Jitter of proportions.
    """

    x: Field
    y: Field
    random: np.random.Generator

    def any(self, low: float, high: float) -> Field:
        """Return one uniform number an image, shape ``(n, 1, 1)``."""
        return uniform(self.random, len(self.x), low, high)

    def circle(self, cx: Number, cy: Number, r: Number) -> Field:
        """Return the distance to a disc."""
        return np.hypot(self.x - cx, self.y - cy) - r

    def ellipse(self, cx: Number, cy: Number, a: Number, b: Number) -> Field:
        """Return the distance to an ellipse with half axes ``a`` and ``b``, to first order at its outline."""
        x, y = self.x - cx, self.y - cy
        level, slope = np.hypot(x / a, y / b), np.hypot(x / a**2, y / b**2)
        return (level - 1) * (level + 1e-6) / (slope + 1e-6)

    def box(self, cx: Number, cy: Number, w: Number, h: Number) -> Field:
        """Return the distance to a box with half sizes ``w`` and ``h``."""
        dx, dy = np.abs(self.x - cx) - w, np.abs(self.y - cy) - h
        outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
        return outside + np.minimum(np.maximum(dx, dy), 0)

    def line(self, ax: Number, ay: Number, bx: Number, by: Number, r: Number) -> Field:
        """Return the distance to a segment of half width ``r`` with round ends."""
        px, py, dx, dy = self.x - ax, self.y - ay, bx - ax, by - ay
        along = np.clip((px * dx + py * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
        return np.hypot(px - along * dx, py - along * dy) - r

    def strokes(self, points: Sequence[tuple[Number, Number]], r: Number) -> Field:
        """Return the distance to a chain of segments."""
        return np.minimum.reduce([self.line(*a, *b, r) for a, b in pairwise(points)])

    def arc(self, cx: Number, cy: Number, a: Number, b: Number, *, start: float, end: float, r: Number) -> Field:
        """Return the distance to a part of an ellipse's outline, angles in turns, counter-clockwise from the right."""
        angles = np.linspace(2 * np.pi * start, 2 * np.pi * end, max(4, round(14 * abs(end - start)) + 1))
        return self.strokes([(cx + a * np.float32(np.cos(t)), cy + b * np.float32(np.sin(t))) for t in angles], r)

    def polygon(self, points: Sequence[tuple[Number, Number]]) -> Field:
        """Return the distance to a polygon."""
        distance = np.full_like(self.x, np.inf)
        inside = np.zeros(self.x.shape, bool)
        for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
            distance = np.minimum(distance, self.line(ax, ay, bx, by, 0.0))
            crosses = (np.asarray(ay) > self.y) != (np.asarray(by) > self.y)
            where = (bx - ax) * (self.y - ay) / (np.where(by == ay, 1e-9, by - ay)) + ax
            inside ^= crosses & (self.x < where)
        return np.where(inside, -distance, distance)

    def star(self, cx: Number, cy: Number, r: Number, inner: Number, tips: int) -> Field:
        """Return the distance to a star."""
        points: list[tuple[Number, Number]] = []
        for i in range(2 * tips):
            angle = np.pi * (0.5 + i / tips)
            radius = r if i % 2 == 0 else r * inner
            points.append((cx + radius * np.float32(np.cos(angle)), cy + radius * np.float32(np.sin(angle))))
        return self.polygon(points)


def union(*fields: Field) -> Field:
    """Return the distance to whichever shape is nearest."""
    return np.minimum.reduce(fields)


def without(field: Field, hole: Field) -> Field:
    """Return the distance to a shape with a hole."""
    return np.maximum(field, -hole)
