"""``securefed report``: the report of a run, made from what is on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.following import report_on
from securefed.cli.screen import AsJson, RunFolder, note


def report(
    folder: RunFolder,
    *,
    bundle: Annotated[
        bool, typer.Option("--bundle", help="Also write the run into one file beside its folder, for others to verify.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Where the bundle goes, if not beside the run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make the report of a run again from what is on disk."""
    from securefed.reports import bundle as bundles

    report_on(folder, as_json=as_json)
    if bundle or out is not None:
        file = bundles.bundle(folder, out)
        note(f"bundle: {file}")
