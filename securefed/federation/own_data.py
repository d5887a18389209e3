"""An owner's images become its client's data: features of the plan's frozen model, in the client's kit alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from rich.console import Console

from securefed.data import folders
from securefed.data.images import Images
from securefed.errors import ConfigError
from securefed.machine import Machine
from securefed.plan import Plan
from securefed.preparation import Encoded, Encoder

FILE = "data.safetensors"


def put(kit: Path, folder: Path, *, machine: Machine | None = None, console: Console | None = None) -> Encoded:
    """Encode a folder of images, ``CLASS/``, into a client's kit, for its owner's eyes only.

    Args:
        kit: The client's folder.
        folder: All of the client's images; classes of the plan may be missing, others may not be there.
        machine: Where the model's weights lie.
        console: Shows the progress of encoding.

    Raises:
        ConfigError: If the kit has data already, to which its ledger belongs, or an image shows a class that is not the
            plan's.
        DataError: If the folder cannot be read.
        DigestError: If the model's weights are others than the plan's.
    """
    from safetensors.torch import save

    if (path := kit / FILE).exists():
        raise ConfigError(f"{path} exists; a ledger belongs to its data. Other data goes into a kit of its own")
    plan = Plan.from_toml(kit / "plan.toml")
    images = _labelled(folder, plan.classes)
    found = Encoder.load(plan, machine or Machine(), console)(images)
    content = save({"features": found.features.contiguous(), "labels": found.labels.contiguous()})
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
    return found


def _labelled(folder: Path, classes: tuple[str, ...]) -> Images:
    """Return a folder's images with the plan's labels."""
    data = folders.load(folder, str(folder), seed=0)
    images = data.train.joined(data.test) if len(data.test) else data.train
    if unknown := sorted(set(images.class_names) - set(classes)):
        raise ConfigError(f"{folder} has images of {', '.join(unknown)}; the plan's classes are {', '.join(classes)}")
    labels = np.array([classes.index(name) for name in images.class_names], np.int64)[images.labels]
    return Images(images.pixels, labels, images.domains, classes, images.domain_names)
