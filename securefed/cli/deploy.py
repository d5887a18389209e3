"""``securefed deploy``: a complete federation on this machine, as real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.federating import carry
from securefed.cli.screen import AsJson


def deploy(
    plan: Annotated[Path, typer.Argument(help="A plan, for example from 'securefed plan --out'.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the federation; must be new or empty.")],
    patience: Annotated[float, typer.Option(help="Seconds that the slowest phase may take.")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Run a plan on Flower's deployment engine on loopback: TLS, node keys, one agent a client; then take it down."""
    from securefed.federation.flower.deployment import deployed

    carry(deployed, plan, out=out, patience=patience, parties="agents and SuperNodes", as_json=as_json)
