"""``securefed verify``: a run checked from its folder alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.screen import AsJson, counting
from securefed.cli.values import run_folders


def verify(
    run: Annotated[
        Path, typer.Argument(help="Folder of a finished run, or a bundle of one.", autocompletion=run_folders)
    ],
    *,
    roster_root: Annotated[
        str | None, typer.Option(help="Root of the roster as you know it from elsewhere, 64 hexadecimal digits.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a run from its folder or bundle alone, with epsilon recomputed from the ledgers."""
    from securefed.reports.verify import verify as check

    with counting("verify") as on_sum:
        found = check(run, roster_root=roster_root, on_sum=on_sum)
    if as_json:
        shown = {name: found.report[name] for name in ("epsilon", "delta")}
        root = {"roster_root": found.roster_root, "root_was_pinned": found.root_was_pinned}
        typer.echo(json.dumps({"verified": True, **shown, **root, "unchecked": found.unchecked}))
        return
    for sentence in found.checks:
        typer.echo(f"holds: {sentence}")
    for sentence in found.unchecked:
        typer.echo(f"not looked at: {sentence}")
    known = "which you named" if found.root_was_pinned else "as far as that is the one you know"
    typer.echo(f"verified on roster {found.roster_root}, {known}")
