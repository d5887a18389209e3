"""A procedural world: 32 classes in twelve visual domains, 32 x 32 pixels, drawn from a seed.

The same shapes are rendered in ways that look nothing like one another, as in domain-adaptation benchmarks, but without
a byte to download and without a licence. Three groups of domains:

* :data:`PUBLIC_DOMAINS`: what the embedded CLIP model was pretrained on, and what cache keys are generated in.
* the others of :data:`DOMAINS`: what clients hold.
* :data:`SPARE_DOMAINS`: serve to choose hyper-parameters, and nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from securefed.data.shapes import DRAWINGS, Canvas, Field, Layer
from securefed.errors import DataError
from securefed.rng import Source

SIZE = 32
CLASSES = tuple(DRAWINGS)
OBJECTS, DIGITS = CLASSES[:22], CLASSES[22:]
PUBLIC_DOMAINS = ("photo", "cartoon", "clipart", "silhouette")
DOMAINS = (*PUBLIC_DOMAINS, "sketch", "painting", "neon", "mosaic", "chalk", "stipple")
SPARE_DOMAINS = ("relief", "thermal")

Pixels: TypeAlias = npt.NDArray[np.uint8]
Colour: TypeAlias = Field
"""RGB in ``[0, 1]``, shape ``(n, 1, 1, 3)``."""

_SOFT = SIZE / 2
"""Distance units to pixels: the width over which an edge is smoothed."""


def render(domain: str, labels: npt.NDArray[np.int64], *, rng: Source) -> Pixels:
    """Draw one image a label.

    Args:
        domain: One of ``DOMAINS`` or ``SPARE_DOMAINS``.
        labels: Indices into ``CLASSES``, shape ``(n,)``.
        rng: Of pose, proportions, colours and texture; the same seed draws the same images.

    Returns:
        RGB, uint8, shape ``(n, 32, 32, 3)``.

    Raises:
        DataError: If the domain or a label is unknown.
    """
    known = (*DOMAINS, *SPARE_DOMAINS)
    if domain not in known:
        near = difflib.get_close_matches(domain, known, n=1, cutoff=0.0)[0]
        raise DataError(f"domain {domain!r} is unknown; did you mean {near!r}? Known: {', '.join(known)}")
    if len(labels) and not (0 <= labels.min() and labels.max() < len(CLASSES)):
        raise DataError(f"labels lie in {labels.min()}..{labels.max()}; the world has classes 0..{len(CLASSES) - 1}")
    random = rng.generator()
    images = np.zeros((len(labels), SIZE, SIZE, 3), np.uint8)
    for label in np.unique(labels):
        where = np.flatnonzero(labels == label)
        scene = Scene.draw(CLASSES[label], len(where), random, digit=label >= len(OBJECTS))
        images[where] = (np.clip(_RENDERERS[domain](scene), 0, 1) * 255).round().astype(np.uint8)
    return images


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

    layers: list[Layer]
    shape: Field
    x: Field
    y: Field
    random: np.random.Generator

    @classmethod
    def draw(cls, name: str, count: int, random: np.random.Generator, *, digit: bool) -> Scene:
        """Draw a class in random poses; digits are turned less, so that six and nine stay apart."""
        axis = ((np.arange(SIZE) + 0.5) / SIZE * 2 - 1).astype(np.float32)
        x, y = np.meshgrid(axis, -axis)

        def any_(low: float, high: float) -> Field:
            return random.uniform(low, high, (count, 1, 1)).astype(np.float32)

        angle = any_(-0.12, 0.12) if digit else any_(-0.3, 0.3)
        scale, squeeze = any_(0.78, 1.08), any_(0.9, 1.12)
        px, py = x - any_(-0.15, 0.15), y - any_(-0.15, 0.15)
        u = (np.cos(angle) * px + np.sin(angle) * py) / (scale * squeeze)
        v = (-np.sin(angle) * px + np.cos(angle) * py) / scale
        if not digit:
            u = u * np.where(any_(0, 1) < 0.5, -1, 1).astype(np.float32)
        layers = [(role, field * scale) for role, field in DRAWINGS[name](Canvas(u, v, random))]
        return cls(layers, np.minimum.reduce([field for _, field in layers]), x[None], y[None], random)

    @property
    def count(self) -> int:
        """How many images are drawn."""
        return len(self.shape)

    def any(self, low: float, high: float) -> Field:
        """Return one uniform number an image, shape ``(n, 1, 1)``."""
        return self.random.uniform(low, high, (self.count, 1, 1)).astype(np.float32)

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
        return np.maximum.reduce([_cover(np.abs(field) - width) for _, field in self.layers])

    def painted(self, background: Field, palette: dict[str, Colour]) -> Field:
        """Return the layers in flat colours over a background, shape ``(n, size, size, 3)``."""
        image = np.broadcast_to(background, (self.count, SIZE, SIZE, 3))
        for role, field in self.layers:
            image = _over(image, palette[role], _cover(field))
        return image

    def gradient(self, first: Colour, second: Colour) -> Field:
        """Return a background that runs from one colour to another in a random direction."""
        angle = self.any(0, 6.28)
        t = (np.cos(angle) * self.x + np.sin(angle) * self.y + 1.4) / 2.8
        return _over(np.broadcast_to(first, (self.count, SIZE, SIZE, 3)), second, np.clip(t, 0, 1))


Number: TypeAlias = "Field | float"


def _cover(distance: Field) -> Field:
    return np.clip(0.5 - distance * _SOFT, 0, 1)


def _over(image: Field, colour: Colour, amount: Field) -> Field:
    return image + (colour - image) * amount[..., None]


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
    return _over(image, s.colour((0, 0.2), (0, 0.12)), s.outlines(s.any(0.03, 0.06)))


def _clipart(s: Scene) -> Field:
    return s.painted(s.colour((0, 0.08), (0.92, 1)), s.palette((0.5, 1), (0.35, 0.9)))


def _silhouette(s: Scene) -> Field:
    background = s.gradient(s.colour((0.1, 0.7), (0.6, 1)), s.colour((0.1, 0.7), (0.5, 1)))
    return _over(background, s.colour((0, 0.6), (0, 0.2)), _cover(s.shape))


def _sketch(s: Scene) -> Field:
    paper = np.broadcast_to(s.colour((0, 0.06), (0.88, 1)), (s.count, SIZE, SIZE, 3))
    lines = s.outlines(s.any(0.005, 0.03)) * np.clip(1.6 * s.noise(9) + 0.1, 0, 1)
    hatch = (np.sin((s.x * s.any(0.5, 1) + s.y) * s.any(22, 34)) > 0.35) & (s.shape < -0.03)
    amount = np.maximum(lines, 0.4 * hatch * s.noise(5))
    return _over(paper, s.colour((0, 0.1), (0.1, 0.35)), amount) + 0.05 * (s.grain() - 0.5)[..., None]


def _painting(s: Scene) -> Field:
    background = s.gradient(s.colour((0.2, 0.7), (0.3, 0.8)), s.colour((0.2, 0.7), (0.3, 0.8)))
    image = s.painted(background, s.palette((0.3, 0.8), (0.3, 0.85)))
    image = _displaced(image, 3.4 * (s.noise(6) - 0.5) + 1.2 * (s.grain() - 0.5), 3.4 * (s.noise(6) - 0.5))
    strokes = (s.noise(12) - 0.5)[..., None] * 0.35
    return 0.5 + 0.75 * (image - 0.5) + strokes


def _neon(s: Scene) -> Field:
    image = np.broadcast_to(s.colour((0.2, 0.8), (0, 0.12)), (s.count, SIZE, SIZE, 3))
    for _, field in s.layers:
        colour = s.colour((0.6, 1), (0.8, 1))
        glow = np.exp(-np.abs(field) * s.any(9, 16))
        image = image + colour * (0.9 * glow)[..., None] + (0.5 * _cover(np.abs(field) - 0.02))[..., None]
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
    return _over(board, s.colour((0, 0.35), (0.85, 1)), np.maximum(lines, dust))


def _stipple(s: Scene) -> Field:
    paper = np.broadcast_to(s.colour((0, 0.15), (0.85, 1)), (s.count, SIZE, SIZE, 3))
    density = 0.06 + 0.42 * _cover(s.shape) + 0.3 * s.outlines(0.03)
    return _over(paper, s.colour((0, 0.6), (0, 0.3)), (s.grain() < density).astype(np.float32))


def _relief(s: Scene) -> Field:
    height = np.clip(-s.shape * 6, -0.4, 1)
    dy, dx = np.gradient(height, axis=(1, 2))
    angle = s.any(0, 6.28)
    shade = 0.5 + 1.1 * (np.cos(angle) * dx + np.sin(angle) * dy) + 0.12 * (s.noise(8) - 0.5)
    return shade[..., None] * s.colour((0, 0.35), (0.75, 1))


def _thermal(s: Scene) -> Field:
    heat = np.clip(0.25 + s.any(0.5, 0.8) * np.clip(-s.shape * 4 + 0.3, 0, 1) + 0.3 * (s.noise(5) - 0.5), 0, 1)
    return np.stack([np.clip(heat * 2.2 - 0.4, 0, 1), np.clip(heat * 2 - 1, 0, 1), np.clip(1 - np.abs(heat * 3 - 0.9), 0, 1)], -1)


def _displaced(image: Field, dy: Field, dx: Field) -> Field:
    rows, columns = np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")
    i = np.clip(rows + dy.round().astype(int), 0, SIZE - 1)
    j = np.clip(columns + dx.round().astype(int), 0, SIZE - 1)
    return image[np.arange(len(image))[:, None, None], i, j]


_RENDERERS: dict[str, Callable[[Scene], Field]] = {
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
