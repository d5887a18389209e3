"""Folders of tiny images for tests."""

import numpy as np
from PIL import Image


def image(path, seed):
    """Write an image that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def grow(root, folders, count=5, ending="png"):
    """Write ``count`` images into each of some folders."""
    for k, folder in enumerate(folders):
        for i in range(count):
            image(root / folder / f"{i:03d}.{ending}", 1000 * k + i)
    return root
