"""What ``securefed plan`` prints: figures, and tables of what degrades them and what would improve them."""

from __future__ import annotations

from typing import Any

import typer
from rich.table import Table

from securefed.cli.screen import wide
from securefed.reports.names import visible

TABLES = ("degradation", "region", "changes")


def show(shown: dict[str, Any]) -> None:
    """Print everything that is foretold of a plan."""
    width = max(map(len, shown)) + 1
    for name, value in shown.items():
        if name not in TABLES:
            typer.echo(visible(f"{name:{width}} {_text(value)}"))
    if shown["degradation"]:
        typer.echo(
            "\nepsilon if clients collude with the server (rows) and drop out (columns); more dropouts open no sum"
        )
        wide().print(_degradation(shown["degradation"]))
    if shown["region"]:
        _show_region(shown["region"])
    if "changes" in shown:
        _show_changes(shown["wanted_accuracy"], shown["changes"])


def _degradation(rows: list[dict[str, Any]]) -> Table:
    """Return one row a number of colluders, one column a number of dropouts; what is charged is marked."""
    cells = {
        (row["colluders"], row["dropouts"]): f"{row['epsilon']:.4g}" + (" charged" if row["planned"] else "")
        for row in rows
    }
    dropouts = sorted({gone for _, gone in cells})
    table = Table("colluders", *(f"{gone} dropouts" for gone in dropouts))
    for colluders in sorted({number for number, _ in cells}):
        table.add_row(str(colluders), *(cells[colluders, gone] for gone in dropouts))
    return table


def _show_region(region: dict[str, Any]) -> None:
    beyond = ", at the most noise that was measured: this plan has more" if region["beyond"] else ""
    typer.echo(
        f"\naccuracy on the measured domains {region['low']:.3f} to {region['high']:.3f} "
        f"(zero-shot {region['zero_shot']:.3f}, "
        f"{region['gain_kept']:.0%} of the gain without privacy){beyond}\n{region['caution']}"
    )


def _show_changes(accuracy: float, changes: list[dict[str, Any]]) -> None:
    if not changes:
        typer.echo(f"\naccuracy {accuracy:g} is no more than expected already")
        return
    typer.echo(f"\nfor accuracy {accuracy:g}, each change by itself")
    table = Table("change", "now", "needed")
    for row in changes:
        table.add_row(
            row["change"], _text(row["now"]), _text("not by this alone" if row["needed"] is None else row["needed"])
        )
    wide().print(table)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value is None else str(value)
