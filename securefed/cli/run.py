"""``securefed run``: a plan is carried out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.machine import ROOT, Cache, Checkpoint, DataRoot, Device, PublicImages
from securefed.cli.screen import AsJson, progress, show_report


def run(
    plan: Annotated[Path, typer.Argument(help="A plan, for example the plan.toml of an earlier run.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the new run; must be new or empty.")],
    ledger: Annotated[
        Path | None, typer.Option(help="Folder of the clients' ledgers; default: inside the run.")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Epsilon that new ledgers allow over all runs.")] = None,
    mirror: Annotated[
        Path | None, typer.Option(help="Folder in another place that remembers how far each ledger came.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="File with the floor that the clients' owners set.")] = None,
    dropouts: Annotated[int, typer.Option(help="Clients that vanish in each round (simulated).")] = 0,
    checkpoint: Checkpoint = None,
    data_root: DataRoot = ROOT,
    public_images: PublicImages = None,
    device: Device = "cpu",
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Carry out a plan, and leave a folder with its report."""
    from securefed import runs
    from securefed.machine import Machine
    from securefed.plan import Plan
    from securefed.reports import render
    from securefed.reports.report import RunRecord, build

    choices = Plan.from_toml(plan)
    machine = Machine(checkpoint=checkpoint, root=data_root, public_images=public_images, cache=cache, device=device)
    with progress() as bar:
        task = bar.add_task("rounds", total=choices.rounds)
        runs.execute(
            choices,
            out,
            machine=machine,
            ledgers=ledger,
            budget=budget,
            mirrors=mirror,
            policy=policy,
            vanishing=dropouts,
            on_round=lambda _number, _accuracy: bar.advance(task),
        )
    values = build(RunRecord.read(out))
    render.write(values, out)
    show_report(values, out, as_json=as_json)
