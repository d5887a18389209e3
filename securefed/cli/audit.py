"""``securefed audit``: attacks on the installed secure sum."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape
from rich.table import Table

from securefed.cli.screen import AsJson, progress, wide

if TYPE_CHECKING:
    from securefed.aggregation.audit import Result


def audit(as_json: AsJson = False) -> None:
    """Attack the installed secure sum by every move of its audit."""
    from securefed.aggregation.audit import ROWS, run_row

    results = []
    with progress() as bar:
        task = bar.add_task("audit", total=len(ROWS))
        for row in ROWS:
            results.append(run_row(row))
            bar.advance(task)
    failed = sum(not result.holds for result in results)
    if as_json:
        typer.echo(json.dumps({"rows": [_values(result) for result in results], "failed": failed}))
    else:
        wide().print(_table(results))
        typer.echo(f"{len(results)} moves, {failed} deviations")
    raise typer.Exit(1 if failed else 0)


def _values(result: Result) -> dict[str, Any]:
    row = result.row
    return {
        "id": row.id,
        "adversary": row.adversary,
        "move": row.move,
        "expected": row.expected,
        "happened": result.happened,
        "holds": result.holds,
        "seconds": result.seconds,
    }


def _table(results: list[Result]) -> Table:
    table = Table("", "adversary", "move", "expected", "happened")
    for result in results:
        mark = "[green]holds[/]" if result.holds else "[bold red]FAILS[/]"
        row = result.row
        table.add_row(mark, *(escape(cell) for cell in (row.adversary, row.move, row.expected, result.happened)))
    return table
