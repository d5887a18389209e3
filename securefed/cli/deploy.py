"""``securefed deploy``: a complete federation on this machine, as real processes."""

from __future__ import annotations

import signal
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.following import report_on, watching
from securefed.cli.screen import AsJson, note, working


def deploy(
    plan: Annotated[Path, typer.Argument(help="A plan, for example from 'securefed plan --out'.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the federation; must be new or empty.")],
    patience: Annotated[float, typer.Option(help="Seconds that the slowest phase may take.")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Run a plan on Flower's deployment engine on loopback: TLS, node keys, one agent a client; then take it down."""
    from securefed.federation.flower.deployment import deployed
    from securefed.plan import Plan
    from securefed.rng import secure

    # Asked to end, it takes the parties down with it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    federation = deployed(Plan.from_toml(plan), out, task=uuid.uuid4().hex[:12], rng=secure())
    with ExitStack() as stack:
        with working("the parties start"):
            running = stack.enter_context(federation)
        note(f"{len(running.agents)} agents and SuperNodes are up; every party's log is in {out / 'logs'}")
        with watching(out / "run", running.plan.rounds):
            running.run(patience=patience)
    report_on(out / "run", as_json=as_json)
    note(f"{out / 'kits'}  what each party holds\n{out / 'logs'}  one a party")
