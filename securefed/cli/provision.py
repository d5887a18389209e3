"""``securefed provision``: what each party of a federation gets as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.screen import AsJson, tell


def provision(
    plan: Annotated[Path, typer.Argument(help="A plan, for example from 'securefed plan --out'.")],
    *,
    task: Annotated[str, typer.Option(help="Name of the run; every client's policy names it.")],
    out: Annotated[Path, typer.Option(help="Folder of the kits; must be new or empty.")],
    address: Annotated[str, typer.Option(help="Where clients reach the server: HOST:PORT.")] = "localhost:8443",
    as_json: AsJson = False,
) -> None:
    """Write a kit for every party of a plan, each with only what that party may hold, and what to do with it."""
    from securefed.aggregation.encrypted_session import DECRYPTOR
    from securefed.federation import kits as files
    from securefed.federation.flower import handbook
    from securefed.federation.gate import ENCRYPTED
    from securefed.plan import Plan
    from securefed.rng import secure

    chosen, place = Plan.from_toml(plan), handbook.Address.of(address)
    roster = files.write(chosen, task, out, rng=secure())
    handbook.write(out, chosen, task, roster, address=place)
    root = roster.root.hex()
    if as_json:
        typer.echo(json.dumps({"kits": str(out), "root": root}))
        return
    tell(f"{out / 'server'}  for the server alone\n{out / 'clients'}/NAME  for that client alone")
    if chosen.secure in ENCRYPTED:
        tell(f"{out / DECRYPTOR}  for the decryptor alone")
    tell("what to do with them is in each README.md")
    tell(f"root of the roster, to be compared by telephone:\n{root}")
