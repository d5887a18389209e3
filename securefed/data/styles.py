"""The twelve visual domains: ways of turning the same distances into pixels.

A style returns RGB in (about) ``[0, 1]``, shape ``(n, size, size, 3)``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from securefed.data.scene import SIZE, Scene, cover, over
from securefed.data.shapes import Field


def _photo(s: Scene) -> Field:
    background = s.gradient(s.colour((0, 0.5), (0.25, 0.9)), s.colour((0, 0.5), (0.25, 0.9)))
    background = background + 0.25 * (s.noise(4) - 0.5)[..., None]
    image = s.painted(background, s.palette((0.35, 0.95), (0.4, 0.95)))
    light = 1 + 0.35 * (s.x * s.any(-1, 1) + s.y * s.any(0.2, 1)) + 0.5 * (s.noise(7) - 0.5)
    bevel = 0.75 + 0.25 * np.clip(-s.shape * 5, 0, 1)
    shaded = np.where((s.shape < 0)[..., None], image * (light * bevel)[..., None], image)
    return shaded + 0.08 * (s.grain() - 0.5)[..., None]


def _cartoon(s: Scene) -> Field:
    image = s.painted(s.colour((0.1, 0.4), (0.8, 1)), s.palette((0.7, 1), (0.75, 1)))
    return over(image, s.colour((0, 0.2), (0, 0.12)), s.outlines(s.any(0.03, 0.06)))


def _clipart(s: Scene) -> Field:
    return s.painted(s.colour((0, 0.08), (0.92, 1)), s.palette((0.5, 1), (0.35, 0.9)))


def _silhouette(s: Scene) -> Field:
    background = s.gradient(s.colour((0.1, 0.7), (0.6, 1)), s.colour((0.1, 0.7), (0.5, 1)))
    return over(background, s.colour((0, 0.6), (0, 0.2)), cover(s.shape))


def _sketch(s: Scene) -> Field:
    paper = np.broadcast_to(s.colour((0, 0.06), (0.88, 1)), (s.count, SIZE, SIZE, 3))
    lines = s.outlines(s.any(0.005, 0.03)) * np.clip(1.6 * s.noise(9) + 0.1, 0, 1)
    hatch = (np.sin((s.x * s.any(0.5, 1) + s.y) * s.any(22, 34)) > 0.35) & (s.shape < -0.03)
    amount = np.maximum(lines, 0.4 * hatch * s.noise(5))
    return over(paper, s.colour((0, 0.1), (0.1, 0.35)), amount) + 0.05 * (s.grain() - 0.5)[..., None]


def _painting(s: Scene) -> Field:
    background = s.gradient(s.colour((0.2, 0.7), (0.3, 0.8)), s.colour((0.2, 0.7), (0.3, 0.8)))
    image = s.painted(background, s.palette((0.3, 0.8), (0.3, 0.85)))
    image = _displaced(image, 2.6 * (s.noise(6) - 0.5) + 1.2 * (s.grain() - 0.5), 2.6 * (s.noise(6) - 0.5))
    strokes = (s.noise(12) - 0.5)[..., None] * 0.3
    return 0.5 + 0.8 * (image - 0.5) + strokes


def _displaced(image: Field, dy: Field, dx: Field) -> Field:
    rows, columns = np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")
    i = np.clip(rows + dy.round().astype(int), 0, SIZE - 1)
    j = np.clip(columns + dx.round().astype(int), 0, SIZE - 1)
    return image[np.arange(len(image))[:, None, None], i, j]


def _neon(s: Scene) -> Field:
    image = np.broadcast_to(s.colour((0.2, 0.8), (0, 0.12)), (s.count, SIZE, SIZE, 3))
    for _, field in s.layers:
        colour = s.colour((0.6, 1), (0.8, 1))
        glow = np.exp(-np.abs(field) * s.any(9, 16))
        image = image + colour * (0.9 * glow)[..., None] + (0.5 * cover(np.abs(field) - 0.02))[..., None]
    return image


def _mosaic(s: Scene) -> Field:
    tile = 4
    background = s.gradient(s.colour((0.2, 0.7), (0.5, 0.95)), s.colour((0.2, 0.7), (0.5, 0.95)))
    image = s.painted(background, s.palette((0.5, 1), (0.3, 0.8)))
    blocks = image.reshape(s.count, SIZE // tile, tile, SIZE // tile, tile, 3).mean((2, 4))
    blocks = blocks + 0.28 * (s.random.random(blocks.shape[:3], dtype=np.float32) - 0.5)[..., None]
    tiles = blocks.repeat(tile, 1).repeat(tile, 2)
    tiles = 0.55 * tiles + 0.45 * image
    grout = (np.arange(SIZE) % tile == 0)[:, None] | (np.arange(SIZE) % tile == 0)[None]
    return np.where(grout[None, ..., None], 0.35 * tiles + 0.2, tiles)


def _chalk(s: Scene) -> Field:
    board = np.broadcast_to(s.colour((0.1, 0.5), (0.1, 0.28)), (s.count, SIZE, SIZE, 3))
    lines = s.outlines(s.any(0.015, 0.05)) * np.clip(2.2 * s.grain() - 0.4, 0, 1)
    dust = 0.12 * s.noise(5) + 0.25 * (s.shape < 0) * s.grain() * s.any(0, 1)
    return over(board, s.colour((0, 0.35), (0.85, 1)), np.maximum(lines, dust))


def _stipple(s: Scene) -> Field:
    paper = np.broadcast_to(s.colour((0, 0.15), (0.85, 1)), (s.count, SIZE, SIZE, 3))
    density = 0.06 + 0.42 * cover(s.shape) + 0.3 * s.outlines(0.03)
    return over(paper, s.colour((0, 0.6), (0, 0.3)), (s.grain() < density).astype(np.float32))


def _relief(s: Scene) -> Field:
    height = np.clip(-s.shape * 6, -0.4, 1)
    dy, dx = np.gradient(height, axis=(1, 2))
    angle = s.any(0, 6.28)
    shade = 0.5 + 1.1 * (np.cos(angle) * dx + np.sin(angle) * dy) + 0.12 * (s.noise(8) - 0.5)
    return shade[..., None] * s.colour((0, 0.35), (0.75, 1))


def _thermal(s: Scene) -> Field:
    heat = np.clip(0.25 + s.any(0.5, 0.8) * np.clip(-s.shape * 4 + 0.3, 0, 1) + 0.3 * (s.noise(5) - 0.5), 0, 1)
    return np.stack(
        [np.clip(heat * 2.2 - 0.4, 0, 1), np.clip(heat * 2 - 1, 0, 1), np.clip(1 - np.abs(heat * 3 - 0.9), 0, 1)], -1
    )


STYLES: dict[str, Callable[[Scene], Field]] = {
    "photo": _photo,
    "cartoon": _cartoon,
    "clipart": _clipart,
    "silhouette": _silhouette,
    "sketch": _sketch,
    "painting": _painting,
    "neon": _neon,
    "mosaic": _mosaic,
    "chalk": _chalk,
    "stipple": _stipple,
    "relief": _relief,
    "thermal": _thermal,
}
"""Every domain and how it looks."""
