"""``securefed compare``: several runs in one table and one picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from securefed.cli.screen import AsJson, cell, picture, progress, wide
from securefed.cli.values import run_folders


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders or bundles of finished runs, each with its report.", autocompletion=run_folders),
    ],
    *,
    plot: Annotated[Path | None, typer.Option(help="Picture to write: .png, .svg or .pdf.")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify several runs, and show them in one table and, if asked for, one picture."""
    from securefed.reports.comparison import compared, draw
    from securefed.reports.verify import verify

    if plot is not None:
        picture(plot)
    reports: dict[str, dict[str, Any]] = {}
    with progress() as bar:
        for run in bar.track(runs, description="verify"):
            reports[_name(run, reports)] = verify(run).report
    if plot is not None:
        draw(reports, plot)
    rows = compared(reports)
    if as_json:
        typer.echo(json.dumps({"runs": rows, "plot": str(plot) if plot else None}))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(cell(_text(value)) for value in row.values()))
    wide().print(table)


def _name(run: Path, taken: dict[str, Any]) -> str:
    """Return the folder's name, or the whole path where two are called the same."""
    return str(run) if (name := run.resolve().name) in taken else name


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)
