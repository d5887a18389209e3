"""What is the same whichever engine carries a federation: start its parties, follow its rounds, say what is left."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from securefed.cli.following import report_on, watching
from securefed.cli.interrupts import by_leaving
from securefed.cli.screen import note, working

if TYPE_CHECKING:
    from securefed.federation.flower.deployment import Deployment
    from securefed.federation.flower.simulation import Simulation


def carry(
    engine: Callable[..., AbstractContextManager[Deployment | Simulation]],
    plan: Path,
    *,
    out: Path,
    patience: float,
    parties: str,
    as_json: bool,
) -> None:
    """Run a plan on an engine, one agent a client, and take everything down again.

    Args:
        engine: Brings the parties up.
        plan: The plan's file.
        out: Folder of the federation.
        patience: Seconds that the slowest phase may take.
        parties: What there is one of for each client, in words.
        as_json: Whether the end is told as one JSON object.
    """
    from securefed.plan import Plan
    from securefed.rng import secure

    federation = engine(Plan.from_toml(plan), out, task=uuid.uuid4().hex[:12], rng=secure())
    try:
        with by_leaving(), ExitStack() as stack:
            with working("the parties start"):
                running = stack.enter_context(federation)
            note(f"{running.plan.clients} {parties} are up; every party's log is in {out / 'logs'}")
            with watching(out / "run", running.plan.rounds):
                running.run(patience=patience)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"every party has ended; {out} stays as it is: start again in another folder") from None
    report_on(out / "run", as_json=as_json)
    note(f"{out / 'kits'}  what each party holds\n{out / 'logs'}  one a party")
