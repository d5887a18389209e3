"""The 22 objects of the world, each drawn from a few jittered shapes."""

from __future__ import annotations

import numpy as np

from securefed.data.shapes import Canvas, Drawing, Layer, union, without


def _house(c: Canvas) -> list[Layer]:
    w, h = c.any(0.42, 0.6), c.any(0.26, 0.38)
    top = h - 0.4
    roof = c.polygon([(-w - 0.12, top), (w + 0.12, top), (c.any(-0.1, 0.1), top + c.any(0.4, 0.6))])
    door = c.box(c.any(-0.2, 0.2), -0.4 - h + 0.2, 0.09, 0.2)
    return [
        ("main", c.box(0, -0.4, w, h)),
        ("second", roof),
        ("dark", door),
        ("light", c.box(w * 0.55, -0.32, 0.09, 0.09)),
    ]


def _tree(c: Canvas) -> list[Layer]:
    trunk = c.box(0, -0.5, c.any(0.06, 0.11), 0.35)
    r = c.any(0.26, 0.36)
    crown = union(c.circle(-0.22, 0.1, r), c.circle(0.22, 0.12, r), c.circle(0, 0.38, r))
    return [("second", trunk), ("main", crown)]


def _car(c: Canvas) -> list[Layer]:
    w, h = c.any(0.6, 0.75), c.any(0.14, 0.2)
    cab = c.polygon([(-w * 0.65, -0.02), (w * 0.6, -0.02), (w * 0.3, 0.34), (-w * 0.4, 0.34)])
    window = c.box(-0.03, 0.14, w * 0.32, 0.09)
    wheels = [c.circle(s * w * 0.58, -0.34, c.any(0.15, 0.19)) for s in (-1, 1)]
    return [("main", union(c.box(0, -0.14, w, h), cab)), ("light", window), ("dark", union(*wheels))]


def _boat(c: Canvas) -> list[Layer]:
    w = c.any(0.5, 0.7)
    hull = c.polygon([(-w, -0.28), (w, -0.28), (w * 0.65, -0.6), (-w * 0.65, -0.6)])
    sail = c.polygon([(0.06, -0.18), (0.06, 0.68), (c.any(0.45, 0.6), -0.18)])
    jib = c.polygon([(-0.06, -0.18), (-0.06, 0.5), (c.any(-0.45, -0.35), -0.18)])
    return [("second", hull), ("dark", c.line(0, -0.3, 0, 0.7, 0.03)), ("main", union(sail, jib))]


def _fish(c: Canvas) -> list[Layer]:
    a, b = c.any(0.42, 0.52), c.any(0.22, 0.32)
    tail = c.polygon([(a * 0.8 - 0.1, 0.0), (0.75, c.any(0.22, 0.36)), (0.75, c.any(-0.36, -0.22))])
    fin = c.polygon([(-0.2, b * 0.8), (0.15, b * 0.8), (0.1, b + 0.2)])
    return [("second", union(tail, fin)), ("main", c.ellipse(-0.1, 0, a, b)), ("dark", c.circle(-0.35, 0.06, 0.06))]


def _bird(c: Canvas) -> list[Layer]:
    body = c.ellipse(-0.02, -0.08, c.any(0.36, 0.44), c.any(0.22, 0.28))
    head = c.circle(0.36, 0.26, c.any(0.16, 0.2))
    beak = c.polygon([(0.5, 0.32), (0.5, 0.18), (c.any(0.7, 0.8), 0.22)])
    tail = c.polygon([(-0.3, -0.05), (-0.78, c.any(0.1, 0.25)), (-0.72, -0.1)])
    legs = union(c.line(-0.05, -0.3, -0.05, -0.62, 0.025), c.line(0.1, -0.3, 0.1, -0.62, 0.025))
    wing = c.ellipse(-0.1, -0.04, 0.22, 0.11)
    return [
        ("dark", legs),
        ("main", union(body, head, tail)),
        ("accent", beak),
        ("second", wing),
        ("dark", c.circle(0.4, 0.3, 0.045)),
    ]


def _cat(c: Canvas) -> list[Layer]:
    r = c.any(0.38, 0.46)
    tip = c.any(0.66, 0.8)
    ears = [c.polygon([(s * 0.4, 0.12), (s * 0.08, 0.3), (s * 0.36, tip)]) for s in (-1, 1)]
    eyes = [c.ellipse(s * 0.17, 0.02, 0.06, 0.09) for s in (-1, 1)]
    whiskers = [c.line(s * 0.12, -0.16, s * 0.62, -0.16 + t, 0.018) for s in (-1, 1) for t in (-0.09, 0.06)]
    nose = c.polygon([(-0.07, -0.08), (0.07, -0.08), (0, -0.17)])
    return [
        ("main", union(c.ellipse(0, -0.05, r * 1.1, r), *ears)),
        ("light", union(*eyes)),
        ("dark", union(*whiskers)),
        ("accent", nose),
    ]


def _rabbit(c: Canvas) -> list[Layer]:
    lean = c.any(0.02, 0.14)
    ears = [c.ellipse(s * (0.16 + lean), 0.45, 0.1, c.any(0.32, 0.42)) for s in (-1, 1)]
    inner = [c.ellipse(s * (0.16 + lean), 0.47, 0.045, 0.24) for s in (-1, 1)]
    eyes = [c.circle(s * 0.15, -0.2, 0.055) for s in (-1, 1)]
    head = c.ellipse(0, -0.26, c.any(0.34, 0.4), c.any(0.32, 0.38))
    return [("main", union(head, *ears)), ("accent", union(*inner, c.circle(0, -0.35, 0.05))), ("dark", union(*eyes))]


def _flower(c: Canvas) -> list[Layer]:
    r, ring = c.any(0.15, 0.2), c.any(0.24, 0.3)
    turn = c.any(0, 1.2)
    petals = [c.circle(ring * np.cos(turn + k * 1.2566), 0.25 + ring * np.sin(turn + k * 1.2566), r) for k in range(5)]
    leaf = c.ellipse(0.16, -0.5, 0.17, 0.07)
    return [
        ("second", union(c.line(0, 0.1, 0, -0.8, 0.045), leaf)),
        ("main", union(*petals)),
        ("accent", c.circle(0, 0.25, 0.15)),
    ]


def _mushroom(c: Canvas) -> list[Layer]:
    a, b = c.any(0.5, 0.62), c.any(0.4, 0.52)
    cap = np.maximum(c.ellipse(0, 0.0, a, b), -(c.y + 0.02))
    stem = c.box(0, -0.34, c.any(0.13, 0.19), 0.36)
    dots = [c.circle(dx, dy, 0.085) for dx, dy in ((-0.25, 0.14), (0.05, 0.28), (0.28, 0.12))]
    return [("light", stem), ("main", cap), ("accent", union(*dots))]


def _umbrella(c: Canvas) -> list[Layer]:
    r = c.any(0.58, 0.7)
    scallops = union(*(c.circle(k * r * 0.66, 0.02, r * 0.34) for k in (-1, 0, 1)))
    top = without(np.maximum(c.circle(0, 0.02, r), -(c.y - 0.02)), scallops)
    handle = union(c.line(0, 0.1, 0, -0.62, 0.035), c.arc(0.12, -0.62, 0.12, 0.12, start=0.5, end=1.0, r=0.035))
    return [("dark", handle), ("main", top)]


def _cup(c: Canvas) -> list[Layer]:
    w, h = c.any(0.3, 0.4), c.any(0.32, 0.42)
    body = c.polygon([(-w, h), (w, h), (w * 0.75, -h), (-w * 0.75, -h)])
    handle = np.abs(c.ellipse(w + 0.06, 0.02, 0.2, 0.22)) - 0.05
    return [
        ("main", union(body, handle)),
        ("second", c.ellipse(0, h, w, 0.08)),
        ("accent", c.box(0, 0, w * 0.85, 0.05)),
    ]


def _star(c: Canvas) -> list[Layer]:
    return [("main", c.star(0, -0.03, c.any(0.62, 0.78), c.any(0.38, 0.5), 5))]


def _heart(c: Canvas) -> list[Layer]:
    r = c.any(0.29, 0.34)
    lobes = union(c.circle(-r * 0.88, 0.22, r), c.circle(r * 0.88, 0.22, r))
    tip = c.polygon([(-r * 1.72, 0.06), (r * 1.72, 0.06), (0, c.any(-0.68, -0.56))])
    return [("main", union(lobes, tip, c.circle(0, 0.1, r * 0.75)))]


def _moon(c: Canvas) -> list[Layer]:
    r = c.any(0.55, 0.66)
    return [("main", without(c.circle(0, 0, r), c.circle(c.any(0.24, 0.36), c.any(0.05, 0.2), r * 0.86)))]


def _sun(c: Canvas) -> list[Layer]:
    r, turn = c.any(0.28, 0.36), c.any(0, 0.7)
    rays = []
    for k in range(8):
        dx, dy = np.cos(turn + k * np.pi / 4), np.sin(turn + k * np.pi / 4)
        rays.append(c.line((r + 0.1) * dx, (r + 0.1) * dy, (r + 0.34) * dx, (r + 0.34) * dy, 0.04))
    return [("accent", union(*rays)), ("main", c.circle(0, 0, r))]


def _key(c: Canvas) -> list[Layer]:
    r, end = c.any(0.2, 0.26), c.any(0.6, 0.75)
    bow = np.abs(c.circle(-0.42, 0, r)) - 0.075
    teeth = [c.box(end - k, -0.13, 0.045, 0.11) for k in (0.05, 0.22)]
    return [("main", union(bow, c.line(-0.42 + r, 0, end, 0, 0.065), *teeth))]


def _clock(c: Canvas) -> list[Layer]:
    r = c.any(0.5, 0.6)
    bells = [c.circle(s * 0.42, 0.56, c.any(0.15, 0.2)) for s in (-1, 1)]
    feet = [c.line(s * 0.3, -0.5, s * 0.46, -0.72, 0.05) for s in (-1, 1)]
    hour, minute = c.any(0, 6.28), c.any(0, 6.28)
    hands = union(
        c.line(0, 0, 0.24 * np.sin(hour), 0.24 * np.cos(hour), 0.05),
        c.line(0, 0, 0.36 * np.sin(minute), 0.36 * np.cos(minute), 0.035),
    )
    face = [("main", c.circle(0, 0, r)), ("light", c.circle(0, 0, r - 0.13)), ("dark", hands)]
    return [("second", union(*bells, *feet)), *face]


def _plane(c: Canvas) -> list[Layer]:
    span = c.any(0.58, 0.72)
    wings = c.polygon([(0, 0.22), (span, -0.12), (span, -0.26), (0, -0.08), (-span, -0.26), (-span, -0.12)])
    tail = c.polygon([(0, -0.42), (0.28, -0.6), (0.28, -0.7), (-0.28, -0.7), (-0.28, -0.6)])
    return [("second", union(wings, tail)), ("main", c.ellipse(0, 0, c.any(0.1, 0.14), 0.72))]


def _apple(c: Canvas) -> list[Layer]:
    r = c.any(0.34, 0.4)
    body = union(c.ellipse(-0.16, -0.1, r, r * 1.18), c.ellipse(0.16, -0.1, r, r * 1.18))
    leaf = c.ellipse(0.2, 0.5, 0.17, 0.08)
    return [("main", body), ("dark", c.line(0, 0.2, c.any(-0.08, 0.08), 0.56, 0.04)), ("second", leaf)]


def _fork(c: Canvas) -> list[Layer]:
    w = c.any(0.16, 0.22)
    tines = [c.line(k * w, 0.2, k * w, 0.72, 0.04) for k in (-1, 0, 1)]
    base = union(c.line(-w, 0.2, 0, 0.06, 0.05), c.line(w, 0.2, 0, 0.06, 0.05))
    return [("main", union(*tines, base, c.line(0, 0.1, 0, c.any(-0.8, -0.65), 0.06)))]


def _chair(c: Canvas) -> list[Layer]:
    w, seat = c.any(0.28, 0.36), c.any(-0.12, 0.0)
    back = union(c.line(-w, seat, -w, 0.7, 0.055), c.line(-w, 0.6, -w + 0.1, 0.6, 0.06))
    legs = union(c.line(-w, seat, -w, -0.72, 0.05), c.line(w, seat, w, -0.72, 0.05))
    return [("second", legs), ("main", union(back, c.box(0, seat, w + 0.05, 0.08)))]


OBJECT_DRAWINGS: dict[str, Drawing] = {
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
}
"""Every object, in the order of its label."""
