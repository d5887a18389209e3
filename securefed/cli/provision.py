"""``securefed provision``: identities of a federation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.screen import AsJson, tell


def provision(
    folder: Annotated[Path, typer.Argument(help="New folder for the identities.")],
    names: Annotated[list[str], typer.Argument(help="Names of the clients.")],
    as_json: AsJson = False,
) -> None:
    """Make identities and the roster of a federation."""
    from securefed.aggregation.provision import provision as make
    from securefed.rng import secure

    root = make(names, folder, rng=secure()).root.hex()
    if as_json:
        typer.echo(json.dumps({"roster": str(folder / "roster.json"), "root": root, "clients": sorted(names)}))
        return
    tell(f"{folder / 'roster.json'}  for everybody; its root, to be compared by telephone:\n{root}")
    tell(f"{folder / 'server'}  for the server alone\n{folder / 'clients'}/NAME  for that client alone")
