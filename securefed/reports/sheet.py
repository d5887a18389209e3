"""What clients would hold, as counts and as pictures on one sheet: for the owners of the data, not to be published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from securefed.data.decode import Pixels
from securefed.data.images import Images
from securefed.data.world import Labels
from securefed.reports.names import for_picture
from securefed.reports.record import Json

SHOWN = 10
"""Pictures of each client."""


def counts(images: Images, parts: Sequence[Labels], names: Sequence[str]) -> list[Json]:
    """Return how many records of which class and domain each client holds."""
    return [
        {
            "client": name,
            "records": len(part),
            "classes": _counted(images.labels[part], images.class_names),
            "domains": _counted(images.domains[part], images.domain_names),
        }
        for name, part in zip(names, parts, strict=True)
    ]


def _counted(indices: Labels, names: Sequence[str]) -> dict[str, int]:
    found = np.bincount(indices, minlength=len(names))
    return {name: int(count) for name, count in zip(names, found, strict=True) if count}


def draw(images: Images, parts: Sequence[Labels], names: Sequence[str], path: Path) -> None:
    """Draw one row a client: how its classes are spread, and its first pictures, as PNG, SVG or PDF by the ending."""
    figure = Figure(figsize=(11, 0.5 + 0.95 * len(parts)), layout="constrained")
    grid = figure.subplots(len(parts), SHOWN + 1, squeeze=False, width_ratios=[4, *[1] * SHOWN])
    classes = len(images.class_names)
    top = max(int(np.bincount(images.labels[part], minlength=classes).max()) for part in parts)
    for row, name, part in zip(grid, names, parts, strict=True):
        row[0].bar(range(classes), np.bincount(images.labels[part], minlength=classes), color="#3b6ea5")
        row[0].set(ylim=(0, top), xticks=[])
        row[0].set_ylabel(f"{for_picture(name, 16)}\n{len(part)}", rotation=0, ha="right", va="center", fontsize=8)
        row[0].spines[["top", "right"]].set_visible(False)
        for axes, index in zip(row[1:], part[:: max(len(part) // SHOWN, 1)], strict=False):
            axes.imshow(_picture(images, int(index)))
            axes.set_title(for_picture(images.class_names[images.labels[index]], 10), fontsize=6, pad=2)
        for axes in row[1:]:
            axes.set_axis_off()
    grid[0, 0].set_title("records of each class", fontsize=8)
    figure.savefig(path, dpi=130)


def _picture(images: Images, index: int) -> Pixels:
    """Return one picture, read now if it lies in a file."""
    found = images.pixels[index]
    return found if isinstance(found, np.ndarray) else found.decode()
