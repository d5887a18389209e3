"""What pretraining sees: batches of generated images, roughened, with their captions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from securefed import rng
from securefed.data import captions, world
from securefed.data.world import Pixels

GROUPS = {"objects": world.OBJECTS, "digits": world.DIGITS}
"""What is drawn, and how the columns of :data:`SHARES` are called."""

SHARES = {
    "photo": (0.17, 0.075),
    "cartoon": (0.16, 0.07),
    "clipart": (0.16, 0.07),
    "silhouette": (0.16, 0.07),
    "sketch": (0.0002, 0.0005),
    "neon": (0.0002, 0.0005),
    "chalk": (0.0002, 0.0005),
}
"""How often pretraining draws the objects and the digits of each domain; what is not listed is never drawn."""

PLAIN_SHARE = 0.6
"""Share of the batches whose captions name only the class."""

SIMPLE_START = 0.08
"""Share of the steps, from the first, that see plain captions only: styles are easier than classes and would be learnt
instead."""

BLURRED = 0.3
"""Share of the images that lose their detail, as small pictures scaled up have lost theirs."""

REVERSED = 0.5
"""Share of the digits among those that also become their negative."""

TEXTURED = 0.12
"""Share of the images with a rough coloured texture over them."""


def draw(count: int, *, seed: int, part: int) -> tuple[Pixels, list[str], list[str]]:
    """Draw ``count`` images in random order, with their domains and class names; every ``part`` is a new draw."""
    order = rng.seeded(seed, "mixture", part).generator()
    shares = np.array(list(SHARES.values()))
    drawn = order.multinomial(count, (shares / shares.sum()).ravel()).reshape(shares.shape)
    images, domains, names = [], [], []
    for domain, parts in zip(SHARES, drawn, strict=True):
        labels = np.concatenate(
            [world.class_indices(order.choice(group, n)) for group, n in zip(GROUPS.values(), parts, strict=True)]
        )
        images.append(world.render(domain, labels, rng=rng.seeded(seed, "pretraining", domain, part)))
        domains += [domain] * len(labels)
        names += [world.CLASSES[label] for label in labels]
    shuffled = order.permutation(count)
    return np.concatenate(images)[shuffled], [domains[i] for i in shuffled], [names[i] for i in shuffled]


def worded(domains: Sequence[str], names: Sequence[str], plain: float, random: np.random.Generator) -> list[str]:
    """Return the captions of a batch: all plain in one wording, or all styled in one wording a style.

    With several wordings in one batch, an image would be taught that other true descriptions of it are false.
    """
    which = int(random.integers(0, 60))
    if random.random() < plain:
        return [captions.PLAIN[which % len(captions.PLAIN)].format(name) for name in names]
    wordings = {domain: texts[which % len(texts)] for domain, texts in captions.STYLED.items()}
    return [wordings[domain].format(name) for domain, name in zip(domains, names, strict=True)]


def blurred(images: Tensor, digits: Tensor, random: np.random.Generator) -> Tensor:
    """Scale a share of the images down to 8 to 13 pixels and up again, and turn a share of their digits into negatives.

    Handwriting comes dark on light and light on dark. Objects keep their sides: their negatives would look like the
    domains that clients hold.
    """
    chosen = torch.from_numpy(random.random(len(images)) < BLURRED)
    size = int(random.integers(8, 14))
    small = interpolate(images[chosen], size=(size, size), mode="area")
    images[chosen] = interpolate(small, size=images.shape[-2:], mode="bicubic").clamp(0, 1)
    negative = chosen & digits & torch.from_numpy(random.random(len(images)) < REVERSED)
    images[negative] = 1 - images[negative]
    return images


def textured(images: Tensor, random: np.random.Generator) -> Tensor:
    """Lay coloured noise over a share of the images, of one coarseness a batch and a strength of its own each."""
    chosen = torch.from_numpy(np.flatnonzero(random.random(len(images)) < TEXTURED))
    cells = int(random.integers(6, 33))
    noise = torch.from_numpy(random.random((len(chosen), 3, cells, cells), np.float32)) - 0.5
    strength = torch.from_numpy(random.uniform(0, 0.8, (len(chosen), 1, 1, 1)).astype(np.float32))
    texture = interpolate(noise, size=images.shape[-2:], mode="bilinear")
    images[chosen] = (images[chosen] + strength * texture).clamp(0, 1)
    return images


def batches(steps: int, batch: int, *, seed: int) -> Iterator[tuple[Tensor, list[str]]]:
    """Yield ``steps`` batches of images in ``[0, 1]`` and captions, rendered in large parts."""
    random = rng.seeded(seed, "batches").generator()
    simple = round(SIMPLE_START * steps)
    part_steps = max(1, 8192 // batch)
    for part in range(math.ceil(steps / part_steps)):
        pixels, domains, names = draw(part_steps * batch, seed=seed, part=part)
        for i in range(min(part_steps, steps - part * part_steps)):
            at = slice(i * batch, (i + 1) * batch)
            images = torch.from_numpy(pixels[at]).permute(0, 3, 1, 2).float() / 255
            share = 1.0 if part * part_steps + i < simple else PLAIN_SHARE
            digits = torch.tensor([name in world.DIGITS for name in names[at]])
            yield textured(blurred(images, digits, random), random), worded(domains[at], names[at], share, random)
