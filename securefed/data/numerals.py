"""The ten digits of the world, drawn as jittered pen strokes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from securefed.data.shapes import Canvas, Drawing, Field, union


def _digit(draw: Callable[[Canvas, Field], Field]) -> Drawing:
    return lambda c: [("main", draw(c, c.any(0.07, 0.13)))]


def _zero(c: Canvas, r: Field) -> Field:
    return np.abs(c.ellipse(0, 0, c.any(0.3, 0.46), c.any(0.55, 0.68))) - r


def _one(c: Canvas, r: Field) -> Field:
    x = c.any(-0.06, 0.16)
    stem, flag = (
        c.line(x, 0.62, x - c.any(-0.04, 0.12), -0.62, r),
        c.line(x, 0.62, x - c.any(0.12, 0.36), c.any(0.22, 0.42), r),
    )
    foot = c.line(x - 0.28, -0.62, x + 0.2, -0.62, r) + np.where(c.any(0, 1) < 0.6, 9.0, 0.0).astype(np.float32)
    return union(stem, flag, foot)


def _two(c: Canvas, r: Field) -> Field:
    a, low = c.any(0.28, 0.38), c.any(-0.64, -0.56)
    bow = c.arc(0, 0.3, a, 0.32, start=0.48, end=-0.12, r=r)
    return union(bow, c.line(a * 0.73, 0.08, -0.36, low, r), c.line(-0.36, low, c.any(0.32, 0.44), low, r))


def _three(c: Canvas, r: Field) -> Field:
    a, b = c.any(0.24, 0.34), c.any(0.28, 0.38)
    return union(
        c.arc(-0.04, 0.32, a, 0.3, start=0.42, end=-0.25, r=r), c.arc(-0.04, -0.3, b, 0.32, start=0.25, end=-0.42, r=r)
    )


def _four(c: Canvas, r: Field) -> Field:
    x, y = c.any(0.1, 0.24), c.any(-0.24, -0.08)
    top = c.any(-0.1, 0.16)
    return union(
        c.line(top, 0.64, -0.42, y, r), c.line(-0.42, y, 0.44, y, r), c.line(x, c.any(0.2, 0.6), x - 0.04, -0.66, r)
    )


def _five(c: Canvas, r: Field) -> Field:
    a = c.any(0.28, 0.38)
    left = c.any(-0.32, -0.22)
    return union(
        c.line(left, 0.6, c.any(0.28, 0.4), 0.6, r),
        c.line(left, 0.6, left - 0.02, 0.08, r),
        c.arc(-0.04, -0.22, a, 0.36, start=0.36, end=-0.4, r=r),
    )


def _six(c: Canvas, r: Field) -> Field:
    a, b = c.any(0.26, 0.36), c.any(0.26, 0.34)
    loop = np.abs(c.ellipse(0, -0.3, a, b)) - r
    return union(loop, c.strokes([(c.any(0.05, 0.26), 0.66), (-a * 0.75, 0.24), (-a, -0.25)], r))


def _seven(c: Canvas, r: Field) -> Field:
    right = c.any(0.3, 0.42)
    bar = c.line(-0.14, -0.02, 0.28, -0.02, r) + np.where(c.any(0, 1) < 0.6, 9.0, 0.0).astype(np.float32)
    return union(c.line(-0.38, 0.6, right, 0.6, r), c.line(right, 0.6, c.any(-0.2, 0.02), -0.66, r), bar)


def _eight(c: Canvas, r: Field) -> Field:
    upper = np.abs(c.ellipse(0, 0.32, c.any(0.2, 0.3), c.any(0.24, 0.3))) - r
    return union(upper, np.abs(c.ellipse(0, -0.3, c.any(0.26, 0.36), c.any(0.28, 0.36))) - r)


def _nine(c: Canvas, r: Field) -> Field:
    a, b = c.any(0.24, 0.34), c.any(0.24, 0.32)
    loop = np.abs(c.ellipse(0, 0.32, a, b)) - r
    return union(loop, c.strokes([(a, 0.32), (a * 0.9, -0.2), (c.any(-0.26, 0.2), -0.66)], r))


DIGIT_DRAWINGS: dict[str, Drawing] = {
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
"""Every digit, in the order of its label."""
