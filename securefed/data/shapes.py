"""What the procedural world is made of: each class as a few signed-distance shapes with roles.

A drawing is a list of layers ``(role, distance)``, painted in order. Roles (``main``, ``second``, ``accent``, ``dark``,
``light``) get their colours from the domain. Distances are in units where the image spans ``[-1, 1]`` both ways, y up,
negative inside; every array has shape ``(n, size, size)`` and every jittered number shape ``(n, 1, 1)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

Field: TypeAlias = npt.NDArray[np.float32]
Number: TypeAlias = "Field | float"
Layer: TypeAlias = tuple[str, Field]


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
        return self.random.uniform(low, high, (len(self.x), 1, 1)).astype(np.float32)

    def circle(self, cx: Number, cy: Number, r: Number) -> Field:
        """Return the distance to a disc."""
        return np.hypot(self.x - cx, self.y - cy) - r

    def ellipse(self, cx: Number, cy: Number, a: Number, b: Number) -> Field:
        """Return (nearly) the distance to an ellipse with half axes ``a`` and ``b``."""
        return (np.hypot((self.x - cx) / a, (self.y - cy) / b) - 1) * np.minimum(a, b)

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
        pairs = zip(points, points[1:], strict=False)
        return np.minimum.reduce([self.line(*a, *b, r) for a, b in pairs])

    def arc(self, cx: Number, cy: Number, a: Number, b: Number, start: float, end: float, r: Number) -> Field:
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


def _both(*fields: Field) -> Field:
    return np.minimum.reduce(fields)


def _without(field: Field, hole: Field) -> Field:
    return np.maximum(field, -hole)


def _house(c: Canvas) -> list[Layer]:
    w, h = c.any(0.42, 0.6), c.any(0.26, 0.38)
    top = h - 0.4
    roof = c.polygon([(-w - 0.12, top), (w + 0.12, top), (c.any(-0.1, 0.1), top + c.any(0.4, 0.6))])
    door = c.box(c.any(-0.2, 0.2), -0.4 - h + 0.2, 0.09, 0.2)
    return [("main", c.box(0, -0.4, w, h)), ("second", roof), ("dark", door), ("light", c.box(w * 0.55, -0.32, 0.09, 0.09))]


def _tree(c: Canvas) -> list[Layer]:
    trunk = c.box(0, -0.5, c.any(0.06, 0.11), 0.35)
    r = c.any(0.26, 0.36)
    crown = _both(c.circle(-0.22, 0.1, r), c.circle(0.22, 0.12, r), c.circle(0, 0.38, r))
    return [("second", trunk), ("main", crown)]


def _car(c: Canvas) -> list[Layer]:
    w, h = c.any(0.6, 0.75), c.any(0.14, 0.2)
    cab = c.polygon([(-w * 0.65, -0.02), (w * 0.6, -0.02), (w * 0.3, 0.34), (-w * 0.4, 0.34)])
    window = c.box(-0.03, 0.14, w * 0.32, 0.09)
    wheels = [c.circle(s * w * 0.58, -0.34, c.any(0.15, 0.19)) for s in (-1, 1)]
    return [("main", _both(c.box(0, -0.14, w, h), cab)), ("light", window), ("dark", _both(*wheels))]


def _boat(c: Canvas) -> list[Layer]:
    w = c.any(0.5, 0.7)
    hull = c.polygon([(-w, -0.28), (w, -0.28), (w * 0.65, -0.6), (-w * 0.65, -0.6)])
    sail = c.polygon([(0.06, -0.18), (0.06, 0.68), (c.any(0.45, 0.6), -0.18)])
    jib = c.polygon([(-0.06, -0.18), (-0.06, 0.5), (c.any(-0.45, -0.35), -0.18)])
    return [("second", hull), ("dark", c.line(0, -0.3, 0, 0.7, 0.03)), ("main", _both(sail, jib))]


def _fish(c: Canvas) -> list[Layer]:
    a, b = c.any(0.42, 0.52), c.any(0.22, 0.32)
    tail = c.polygon([(a * 0.8 - 0.1, 0.0), (0.75, c.any(0.22, 0.36)), (0.75, c.any(-0.36, -0.22))])
    fin = c.polygon([(-0.2, b * 0.8), (0.15, b * 0.8), (0.1, b + 0.2)])
    return [("second", _both(tail, fin)), ("main", c.ellipse(-0.1, 0, a, b)), ("dark", c.circle(-0.35, 0.06, 0.06))]


def _bird(c: Canvas) -> list[Layer]:
    body = c.ellipse(-0.02, -0.08, c.any(0.36, 0.44), c.any(0.22, 0.28))
    head = c.circle(0.36, 0.26, c.any(0.16, 0.2))
    beak = c.polygon([(0.5, 0.32), (0.5, 0.18), (c.any(0.7, 0.8), 0.22)])
    tail = c.polygon([(-0.3, -0.05), (-0.78, c.any(0.1, 0.25)), (-0.72, -0.1)])
    legs = _both(c.line(-0.05, -0.3, -0.05, -0.62, 0.025), c.line(0.1, -0.3, 0.1, -0.62, 0.025))
    wing = c.ellipse(-0.1, -0.04, 0.22, 0.11)
    return [("dark", legs), ("main", _both(body, head, tail)), ("accent", beak), ("second", wing), ("dark", c.circle(0.4, 0.3, 0.045))]


def _cat(c: Canvas) -> list[Layer]:
    r = c.any(0.38, 0.46)
    tip = c.any(0.66, 0.8)
    ears = [c.polygon([(s * 0.4, 0.12), (s * 0.08, 0.3), (s * 0.36, tip)]) for s in (-1, 1)]
    eyes = [c.ellipse(s * 0.17, 0.02, 0.06, 0.09) for s in (-1, 1)]
    whiskers = [c.line(s * 0.12, -0.16, s * 0.62, -0.16 + t, 0.018) for s in (-1, 1) for t in (-0.09, 0.06)]
    nose = c.polygon([(-0.07, -0.08), (0.07, -0.08), (0, -0.17)])
    return [("main", _both(c.ellipse(0, -0.05, r * 1.1, r), *ears)), ("light", _both(*eyes)), ("dark", _both(*whiskers)), ("accent", nose)]


def _rabbit(c: Canvas) -> list[Layer]:
    lean = c.any(0.02, 0.14)
    ears = [c.ellipse(s * (0.16 + lean), 0.45, 0.1, c.any(0.32, 0.42)) for s in (-1, 1)]
    inner = [c.ellipse(s * (0.16 + lean), 0.47, 0.045, 0.24) for s in (-1, 1)]
    eyes = [c.circle(s * 0.15, -0.2, 0.055) for s in (-1, 1)]
    head = c.ellipse(0, -0.26, c.any(0.34, 0.4), c.any(0.32, 0.38))
    return [("main", _both(head, *ears)), ("accent", _both(*inner, c.circle(0, -0.35, 0.05))), ("dark", _both(*eyes))]


def _flower(c: Canvas) -> list[Layer]:
    r, ring = c.any(0.15, 0.2), c.any(0.24, 0.3)
    turn = c.any(0, 1.2)
    petals = [c.circle(ring * np.cos(turn + k * 1.2566), 0.25 + ring * np.sin(turn + k * 1.2566), r) for k in range(5)]
    leaf = c.ellipse(0.16, -0.5, 0.17, 0.07)
    return [("second", _both(c.line(0, 0.1, 0, -0.8, 0.045), leaf)), ("main", _both(*petals)), ("accent", c.circle(0, 0.25, 0.15))]


def _mushroom(c: Canvas) -> list[Layer]:
    a, b = c.any(0.5, 0.62), c.any(0.4, 0.52)
    cap = np.maximum(c.ellipse(0, 0.0, a, b), -(c.y + 0.02))
    stem = c.box(0, -0.34, c.any(0.13, 0.19), 0.36)
    dots = [c.circle(dx, dy, 0.085) for dx, dy in ((-0.25, 0.14), (0.05, 0.28), (0.28, 0.12))]
    return [("light", stem), ("main", cap), ("accent", _both(*dots))]


def _umbrella(c: Canvas) -> list[Layer]:
    r = c.any(0.58, 0.7)
    scallops = _both(*(c.circle(k * r * 0.66, 0.02, r * 0.34) for k in (-1, 0, 1)))
    top = _without(np.maximum(c.circle(0, 0.02, r), -(c.y - 0.02)), scallops)
    handle = _both(c.line(0, 0.1, 0, -0.62, 0.035), c.arc(0.12, -0.62, 0.12, 0.12, 0.5, 1.0, 0.035))
    return [("dark", handle), ("main", top)]


def _cup(c: Canvas) -> list[Layer]:
    w, h = c.any(0.3, 0.4), c.any(0.32, 0.42)
    body = c.polygon([(-w, h), (w, h), (w * 0.75, -h), (-w * 0.75, -h)])
    handle = np.abs(c.ellipse(w + 0.06, 0.02, 0.2, 0.22)) - 0.05
    return [("main", _both(body, handle)), ("second", c.ellipse(0, h, w, 0.08)), ("accent", c.box(0, 0, w * 0.85, 0.05))]


def _star(c: Canvas) -> list[Layer]:
    return [("main", c.star(0, -0.03, c.any(0.62, 0.78), c.any(0.38, 0.5), 5))]


def _heart(c: Canvas) -> list[Layer]:
    r = c.any(0.29, 0.34)
    lobes = _both(c.circle(-r * 0.88, 0.22, r), c.circle(r * 0.88, 0.22, r))
    tip = c.polygon([(-r * 1.72, 0.06), (r * 1.72, 0.06), (0, c.any(-0.68, -0.56))])
    return [("main", _both(lobes, tip, c.circle(0, 0.1, r * 0.75)))]


def _moon(c: Canvas) -> list[Layer]:
    r = c.any(0.55, 0.66)
    return [("main", _without(c.circle(0, 0, r), c.circle(c.any(0.24, 0.36), c.any(0.05, 0.2), r * 0.86)))]


def _sun(c: Canvas) -> list[Layer]:
    r, turn = c.any(0.28, 0.36), c.any(0, 0.7)
    rays = []
    for k in range(8):
        dx, dy = np.cos(turn + k * np.pi / 4), np.sin(turn + k * np.pi / 4)
        rays.append(c.line((r + 0.1) * dx, (r + 0.1) * dy, (r + 0.34) * dx, (r + 0.34) * dy, 0.04))
    return [("accent", _both(*rays)), ("main", c.circle(0, 0, r))]


def _key(c: Canvas) -> list[Layer]:
    r, end = c.any(0.2, 0.26), c.any(0.6, 0.75)
    bow = np.abs(c.circle(-0.42, 0, r)) - 0.075
    teeth = [c.box(end - k, -0.13, 0.045, 0.11) for k in (0.05, 0.22)]
    return [("main", _both(bow, c.line(-0.42 + r, 0, end, 0, 0.065), *teeth))]


def _clock(c: Canvas) -> list[Layer]:
    r = c.any(0.56, 0.68)
    hour, minute = c.any(0, 6.28), c.any(0, 6.28)
    hands = _both(
        c.line(0, 0, 0.24 * np.sin(hour), 0.24 * np.cos(hour), 0.05),
        c.line(0, 0, 0.42 * np.sin(minute), 0.42 * np.cos(minute), 0.035),
    )
    return [("main", c.circle(0, 0, r)), ("light", c.circle(0, 0, r - 0.13)), ("dark", hands)]


def _plane(c: Canvas) -> list[Layer]:
    span = c.any(0.58, 0.72)
    wings = c.polygon([(0, 0.22), (span, -0.12), (span, -0.26), (0, -0.08), (-span, -0.26), (-span, -0.12)])
    tail = c.polygon([(0, -0.42), (0.28, -0.6), (0.28, -0.7), (-0.28, -0.7), (-0.28, -0.6)])
    return [("second", _both(wings, tail)), ("main", c.ellipse(0, 0, c.any(0.1, 0.14), 0.72))]


def _apple(c: Canvas) -> list[Layer]:
    r = c.any(0.34, 0.4)
    body = _both(c.ellipse(-0.16, -0.1, r, r * 1.18), c.ellipse(0.16, -0.1, r, r * 1.18))
    leaf = c.ellipse(0.2, 0.5, 0.17, 0.08)
    return [("main", body), ("dark", c.line(0, 0.2, c.any(-0.08, 0.08), 0.56, 0.04)), ("second", leaf)]


def _fork(c: Canvas) -> list[Layer]:
    w = c.any(0.16, 0.22)
    tines = [c.line(k * w, 0.2, k * w, 0.72, 0.04) for k in (-1, 0, 1)]
    base = _both(c.line(-w, 0.2, 0, 0.06, 0.05), c.line(w, 0.2, 0, 0.06, 0.05))
    return [("main", _both(*tines, base, c.line(0, 0.1, 0, c.any(-0.8, -0.65), 0.06)))]


def _chair(c: Canvas) -> list[Layer]:
    w, seat = c.any(0.28, 0.36), c.any(-0.12, 0.0)
    back = _both(c.line(-w, seat, -w, 0.7, 0.055), c.line(-w, 0.6, -w + 0.1, 0.6, 0.06))
    legs = _both(c.line(-w, seat, -w, -0.72, 0.05), c.line(w, seat, w, -0.72, 0.05))
    return [("second", legs), ("main", _both(back, c.box(0, seat, w + 0.05, 0.08)))]


def _digit(draw: Callable[[Canvas, Field], Field]) -> Callable[[Canvas], list[Layer]]:
    return lambda c: [("main", draw(c, c.any(0.07, 0.13)))]


def _zero(c: Canvas, r: Field) -> Field:
    return np.abs(c.ellipse(0, 0, c.any(0.3, 0.46), c.any(0.55, 0.68))) - r


def _one(c: Canvas, r: Field) -> Field:
    x = c.any(-0.06, 0.16)
    stem, flag = c.line(x, 0.62, x - c.any(-0.04, 0.12), -0.62, r), c.line(x, 0.62, x - c.any(0.12, 0.36), c.any(0.22, 0.42), r)
    foot = c.line(x - 0.28, -0.62, x + 0.2, -0.62, r) + np.where(c.any(0, 1) < 0.6, 9.0, 0.0).astype(np.float32)
    return _both(stem, flag, foot)


def _two(c: Canvas, r: Field) -> Field:
    a, low = c.any(0.28, 0.38), c.any(-0.64, -0.56)
    bow = c.arc(0, 0.3, a, 0.32, 0.48, -0.12, r)
    return _both(bow, c.line(a * 0.73, 0.08, -0.36, low, r), c.line(-0.36, low, c.any(0.32, 0.44), low, r))


def _three(c: Canvas, r: Field) -> Field:
    a, b = c.any(0.24, 0.34), c.any(0.28, 0.38)
    return _both(c.arc(-0.04, 0.32, a, 0.3, 0.42, -0.25, r), c.arc(-0.04, -0.3, b, 0.32, 0.25, -0.42, r))


def _four(c: Canvas, r: Field) -> Field:
    x, y = c.any(0.1, 0.24), c.any(-0.24, -0.08)
    top = c.any(-0.1, 0.16)
    return _both(
        c.line(top, 0.64, -0.42, y, r), c.line(-0.42, y, 0.44, y, r), c.line(x, c.any(0.2, 0.6), x - 0.04, -0.66, r)
    )


def _five(c: Canvas, r: Field) -> Field:
    a = c.any(0.28, 0.38)
    left = c.any(-0.32, -0.22)
    return _both(
        c.line(left, 0.6, c.any(0.28, 0.4), 0.6, r),
        c.line(left, 0.6, left - 0.02, 0.08, r),
        c.arc(-0.04, -0.22, a, 0.36, 0.36, -0.4, r),
    )


def _six(c: Canvas, r: Field) -> Field:
    a, b = c.any(0.26, 0.36), c.any(0.26, 0.34)
    loop = np.abs(c.ellipse(0, -0.3, a, b)) - r
    return _both(loop, c.strokes([(c.any(0.05, 0.26), 0.66), (-a * 0.75, 0.24), (-a, -0.25)], r))


def _seven(c: Canvas, r: Field) -> Field:
    right = c.any(0.3, 0.42)
    bar = c.line(-0.14, -0.02, 0.28, -0.02, r) + np.where(c.any(0, 1) < 0.6, 9.0, 0.0).astype(np.float32)
    return _both(c.line(-0.38, 0.6, right, 0.6, r), c.line(right, 0.6, c.any(-0.2, 0.02), -0.66, r), bar)


def _eight(c: Canvas, r: Field) -> Field:
    upper = np.abs(c.ellipse(0, 0.32, c.any(0.2, 0.3), c.any(0.24, 0.3))) - r
    return _both(upper, np.abs(c.ellipse(0, -0.3, c.any(0.26, 0.36), c.any(0.28, 0.36))) - r)


def _nine(c: Canvas, r: Field) -> Field:
    a, b = c.any(0.24, 0.34), c.any(0.24, 0.32)
    loop = np.abs(c.ellipse(0, 0.32, a, b)) - r
    return _both(loop, c.strokes([(a, 0.32), (a * 0.9, -0.2), (c.any(-0.26, 0.2), -0.66)], r))


DRAWINGS: dict[str, Callable[[Canvas], list[Layer]]] = {
    "house": _house,
    "tree": _tree,
    "car": _car,
    "boat": _boat,
    "fish": _fish,
    "bird": _bird,
    "cat": _cat,
    "rabbit": _rabbit,
    "flower": _flower,
    "mushroom": _mushroom,
    "umbrella": _umbrella,
    "cup": _cup,
    "star": _star,
    "heart": _heart,
    "moon": _moon,
    "sun": _sun,
    "key": _key,
    "clock": _clock,
    "plane": _plane,
    "apple": _apple,
    "fork": _fork,
    "chair": _chair,
    "zero": _digit(_zero),
    "one": _digit(_one),
    "two": _digit(_two),
    "three": _digit(_three),
    "four": _digit(_four),
    "five": _digit(_five),
    "six": _digit(_six),
    "seven": _digit(_seven),
    "eight": _digit(_eight),
    "nine": _digit(_nine),
}
"""Every class of the world, objects first, with the function that draws it."""
