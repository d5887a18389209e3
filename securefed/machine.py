"""What belongs to the machine that a run is carried out on, and to no plan: where files lie and what computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from securefed.data.datasets import ROOT


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Folders, files and the device of one machine.

    Nothing here can change what a plan promises: weights are compared with the plan's digest, public images too.

    Attributes:
        checkpoint: File of the model's weights; by default where published ones of the plan's tag are looked for.
        root: Where paths of data sets start.
        public_images: Folder of public images, ``class/``, that some generator drew.
        cache: Folder where features are kept; by default they are encoded anew for every run.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``.
    """

    checkpoint: Path | None = None
    root: Path = ROOT
    public_images: Path | None = None
    cache: Path | None = None
    device: str = "cpu"
