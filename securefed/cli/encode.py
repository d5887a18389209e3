"""``securefed encode``: an owner's images become its client's data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.machine import Checkpoint, Device
from securefed.cli.screen import AsJson, console, tell


def encode(
    kit: Annotated[Path, typer.Argument(help="The client's kit; what comes of it stays in there.")],
    images: Annotated[Path, typer.Argument(help="The client's images, CLASS/; nobody else gets to see them.")],
    *,
    checkpoint: Checkpoint = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Encode a client's own images with the plan's model into the kit, where its agent looks for them."""
    from securefed.federation import own_data
    from securefed.machine import Machine

    machine = Machine(checkpoint=checkpoint, device=device)
    found = own_data.put(kit, images, machine=machine, console=console if console.is_terminal else None)
    path = kit / own_data.FILE
    if as_json:
        typer.echo(json.dumps({"data": str(path), "records": len(found.labels)}))
        return
    tell(f"{path}  {len(found.labels)} records; how many is nobody else's business")
