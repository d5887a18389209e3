"""Images that belong to nobody: drawn by a generator, with this package or with any other tool."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from securefed.data import folders
from securefed.data.images import Images
from securefed.data.selection import narrowed
from securefed.errors import DataError

LEAST = 2
"""Images that every class needs."""


def of_folder(folder: Path, classes: tuple[str, ...]) -> Images:
    """Return the images of a folder, ``class/``, with the labels of the given classes.

    Args:
        folder: Public images alone: what adapters start from is not protected by any noise.
        classes: Names of its folders, in the order of labels.

    Raises:
        ConfigError: If a class has no folder.
        DataError: If the folder cannot be read, or a class has fewer than two images.
    """
    data = narrowed(folders.load(folder, str(folder), seed=0), seed=0, records=None, classes=classes)
    images = data.train.joined(data.test) if len(data.test) else data.train
    counts = np.bincount(images.labels, minlength=len(classes))
    if counts.min() < LEAST:
        raise DataError(
            f"{folder} has {counts.min()} images of {classes[int(counts.argmin())]!r}; each class needs {LEAST}"
        )
    return images


def digest_of(images: Images) -> str:
    """Return a SHA-256 over images and their labels, in their order."""
    digest = hashlib.sha256()
    for index in range(len(images)):
        pixels = images.pixels[index]
        content = pixels.tobytes() if isinstance(pixels, np.ndarray) else pixels.content
        digest.update(hashlib.sha256(content).digest() + int(images.labels[index]).to_bytes(8, "big"))
    return digest.hexdigest()
