"""What an attacker sees: real images, and what the server of a run rebuilds of them with and without protection."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import final

import numpy as np
from PIL import Image

from securefed.threat_models import cohorts
from securefed.threat_models.games import reconstruction
from securefed.threat_models.games.reconstruction import Rebuilt

SHOWN = 8
"""Records in a picture."""

GAP = 2
"""Rows of white between what is true and what was rebuilt."""


@final
@dataclass(frozen=True, slots=True)
class Picture:
    """Records above, and below each the image that is nearest to what the attacker rebuilt.

    Attributes:
        title: Which defences were on.
        text: What it shows, for who does not see it.
        png: The image.
    """

    title: str
    text: str
    png: bytes = field(repr=False)


def pictures(seed: int) -> list[Picture]:
    """Draw one picture for every arm of the reconstruction of images; they show the first records of a seed."""
    return [_picture(arm.defences, reconstruction.some(arm, seed, SHOWN)) for arm in reconstruction.ROW.arms]


def _picture(defences: str, found: list[Rebuilt]) -> Picture:
    pixels = cohorts.world().pixels
    rows = ([each.target for each in found], [each.nearest for each in found])
    above, below = (np.concatenate(list(pixels[row]), axis=1) for row in rows)
    line = np.full_like(above[:GAP], 255)
    same = sum(each.target == each.nearest for each in found)
    text = (
        f"Above {len(found)} images of clients, below each the one of {reconstruction.CANDIDATES} images that is "
        f"nearest to what the server rebuilt: {same} of {len(found)} are the same image."
    )
    return Picture(f"Defences: {defences}", text, _png(np.concatenate([above, line, below])))


def _png(sheet: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(sheet).save(out, format="PNG", optimize=True)
    return out.getvalue()
