"""Draw a contact sheet of the generated world: one row a domain, one column a class.

Run ``python -m tools.sheet docs/images/world.png``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from securefed.data import world
from securefed.rng import seeded


def row(domain: str, seed: int) -> world.Pixels:
    """Return one image of every class, side by side, with a white line around each."""
    images = world.render(domain, np.arange(len(world.CLASSES)), rng=seeded(seed, "sheet", domain))
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
    return np.concatenate(list(framed), axis=1)


def main() -> None:
    """Write the sheet as PNG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    rows = [row(domain, chosen.seed) for domain in (*world.DOMAINS, *world.SPARE_DOMAINS)]
    chosen.path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).quantize(256).save(chosen.path, optimize=True)


if __name__ == "__main__":
    main()
