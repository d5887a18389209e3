"""``securefed data``: images and how they would be parted, before anything is planned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from securefed.cli.screen import AsJson, cell, picture, wide, working
from securefed.cli.values import PARTITIONS, any_of, data_sets


def data(
    name: Annotated[
        str,
        typer.Argument(
            help="digits, world:DOMAIN[,DOMAIN], folder:PATH, torchvision:NAME or huggingface:PATH.",
            autocompletion=data_sets,
        ),
    ],
    *,
    partition: Annotated[
        str,
        typer.Option(help="iid, dirichlet:ALPHA, domain or domain+dirichlet:ALPHA.", autocompletion=any_of(PARTITIONS)),
    ] = "iid",
    clients: Annotated[int, typer.Option(help="How many clients share the records.", min=1)] = 8,
    records: Annotated[int | None, typer.Option(help="Training images [all there are].")] = None,
    root: Annotated[Path, typer.Option(help="Folder in which paths of data sets start.")] = Path("data"),
    seed: Annotated[int, typer.Option(help="Of split and partition.")] = 0,
    sheet: Annotated[Path | None, typer.Option(help="Picture to write: .png, .svg or .pdf.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which records each client would hold: counts, and pictures on one sheet. For the data's owners only."""
    from securefed.data import datasets
    from securefed.data.partition import partition as parted
    from securefed.reports.sheet import counts, draw
    from securefed.rng import seeded

    if sheet is not None:
        picture(sheet)
    with working("data"):
        images = datasets.load(name, seed=seed, records=records, root=root).train
        parts = parted(partition, images, clients, rng=seeded(seed, "partition"))
    names = [f"client-{number:0{len(str(clients - 1))}d}" for number in range(clients)]
    rows = counts(images, parts, names)
    if sheet is not None:
        with working("sheet"):
            draw(images, parts, names, sheet)
    if as_json:
        typer.echo(json.dumps({"data": name, "partition": partition, "clients": rows}))
        return
    table = Table("client", "records", "classes", "domains")
    for row in rows:
        table.add_row(row["client"], str(row["records"]), _text(row["classes"]), _text(row["domains"]))
    wide().print(table)


def _text(counts: dict[str, int]) -> str:
    most_first = sorted(counts.items(), key=lambda item: -item[1])
    return cell(", ".join(f"{name} {count}" for name, count in most_first))
