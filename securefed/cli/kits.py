"""``securefed kits``: what each party of a federation gets as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.screen import AsJson


def kits(
    plan: Annotated[Path, typer.Argument(help="A plan, for example from 'securefed plan --out'.")],
    *,
    task: Annotated[str, typer.Option(help="Name of the run; every client's policy names it.")],
    out: Annotated[Path, typer.Option(help="Folder of the kits; must be new or empty.")],
    as_json: AsJson = False,
) -> None:
    """Write a kit for every party of a plan, each with only what that party may hold."""
    from securefed.federation import kits as files
    from securefed.plan import Plan
    from securefed.rng import secure

    root = files.write(Plan.from_toml(plan), task, out, rng=secure()).root.hex()
    if as_json:
        typer.echo(json.dumps({"kits": str(out), "root": root}))
        return
    typer.echo(f"{out / 'server'}  for the server alone\n{out / 'clients'}/NAME  for that client alone")
    typer.echo(f"root of the roster, to be compared by telephone:\n{root}")
