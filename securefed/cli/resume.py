"""``securefed resume``: a run whose process has died goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.following import MLflow, TensorBoard, Watch, following, report_on
from securefed.cli.screen import AsJson, console
from securefed.cli.values import run_folders


def resume(
    folder: Annotated[Path, typer.Argument(help="Folder of a run that was interrupted.", autocompletion=run_folders)],
    *,
    watch: Watch = False,
    tensorboard: TensorBoard = None,
    mlflow: MLflow = None,
    as_json: AsJson = False,
) -> None:
    """Go on with an interrupted run: same ledgers, same parties, from the last round that was over."""
    from securefed import runs
    from securefed.plan import Plan

    choices = Plan.from_toml(folder / "plan.toml")
    with following(choices, folder, watch=watch, tensorboard=tensorboard, mlflow=mlflow) as on_round:
        runs.resume(folder, on_round=on_round, console=console if console.is_terminal else None)
    report_on(folder, as_json=as_json)
