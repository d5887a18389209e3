"""Options about this machine, which plans do not know: where files lie and what computes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.values import DEVICES, any_of, listed

ROOT = Path("data")
"""As :data:`securefed.data.datasets.ROOT`, which takes numpy to read."""

Checkpoint = Annotated[Path | None, typer.Option(help="File of the model's weights.")]
DataRoot = Annotated[Path, typer.Option(help="Where paths of data sets start.")]
PublicImages = Annotated[
    Path | None, typer.Option(help="Folder of generated images, CLASS/, that the adapter starts from.")
]
Device = Annotated[str, typer.Option(help=f"{listed(DEVICES)}.", autocompletion=any_of(DEVICES))]
Cache = Annotated[Path | None, typer.Option(help="Folder where features are kept, to be encoded once.")]
