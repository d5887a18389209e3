"""``securefed run``: a plan is carried out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.auditing import audited
from securefed.cli.following import MLflow, TensorBoard, Watch, following, report_on
from securefed.cli.machine import ROOT, Cache, Checkpoint, DataRoot, Device, PublicImages
from securefed.cli.screen import AsJson, console
from securefed.errors import ConfigError


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
    audit: Annotated[
        bool, typer.Option("--audit", help="First attack the plan's mechanism, and keep the result with the run.")
    ] = False,
    audit_result: Annotated[
        Path | None, typer.Option(help="Result of an audit that was made before, to be kept with the run.")
    ] = None,
    dropouts: Annotated[int, typer.Option(help="Clients that vanish in each round (simulated).")] = 0,
    checkpoint: Checkpoint = None,
    data_root: DataRoot = ROOT,
    public_images: PublicImages = None,
    device: Device = "cpu",
    cache: Cache = None,
    watch: Watch = False,
    tensorboard: TensorBoard = None,
    mlflow: MLflow = None,
    as_json: AsJson = False,
) -> None:
    """Carry out a plan, and leave a folder with its report."""
    from securefed import runs
    from securefed.machine import Machine
    from securefed.plan import Plan

    choices = Plan.from_toml(plan)
    machine = Machine(checkpoint=checkpoint, root=data_root, public_images=public_images, cache=cache, device=device)
    if audit and audit_result is not None:
        raise ConfigError("--audit makes a result and --audit-result names one; a run keeps one of them")
    with (
        audited(choices, out, wanted=audit) as made,
        following(choices, out, watch=watch, tensorboard=tensorboard, mlflow=mlflow) as on_round,
    ):
        runs.execute(
            choices,
            out,
            machine=machine,
            ledgers=ledger,
            budget=budget,
            mirrors=mirror,
            policy=policy,
            audit=made or audit_result,
            vanishing=dropouts,
            on_round=on_round,
            console=console if console.is_terminal else None,
        )
    report_on(out, as_json=as_json)
