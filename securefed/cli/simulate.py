"""``securefed simulate``: a plan on Flower's simulation engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.federating import carry
from securefed.cli.screen import AsJson


def simulate(
    plan: Annotated[Path, typer.Argument(help="A plan, for example from 'securefed plan --out'.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the federation; must be new or empty.")],
    patience: Annotated[float, typer.Option(help="Seconds that the slowest phase may take.")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Run a plan on Flower's simulation engine: ray's workers carry messages to agents of one process."""
    from securefed.federation.flower.simulation import simulated

    carry(simulated, plan, out=out, patience=patience, parties="agents", as_json=as_json)
