"""``securefed agent``: a client's trusted process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.serving import AsJsonLines, Users, numbers


def agent(
    *,
    policy: Annotated[Path, typer.Option(help="The client's policy.toml; its folder is the client's kit.")],
    socket: Annotated[Path, typer.Option(help="Unix socket on which couriers of this machine bring messages.")],
    user: Users = None,
    as_json: AsJsonLines = False,
) -> None:
    """Serve one client's data until SIGTERM: it answers protocol messages and nothing else."""
    from securefed.federation.process import run

    def say(state: str) -> None:
        if as_json:
            typer.echo(json.dumps({"agent": state, "policy": str(policy), "socket": str(socket)}))

    run(policy, socket, users=numbers(user), opened=lambda: say("listens"))
    say("ended")
