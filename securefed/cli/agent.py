"""``securefed agent``: a client's trusted process."""

from __future__ import annotations

import json
import pwd
from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.values import users


def agent(
    *,
    policy: Annotated[Path, typer.Option(help="The client's policy.toml; its folder is the client's kit.")],
    socket: Annotated[Path, typer.Option(help="Unix socket on which couriers of this machine bring messages.")],
    user: Annotated[
        list[str] | None,
        typer.Option(
            help="Name or id of a user who may come in beside your own.",
            autocompletion=users,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object when it listens, and another at its end.")
    ] = False,
) -> None:
    """Serve one client's data until SIGTERM: it answers protocol messages and nothing else."""
    from securefed.federation.process import run

    def say(state: str) -> None:
        if as_json:
            typer.echo(json.dumps({"agent": state, "policy": str(policy), "socket": str(socket)}))

    run(policy, socket, users=frozenset(map(_number, user or ())), opened=lambda: say("listens"))
    say("ended")


def _number(user: str) -> int:
    """Return the id of a user of this machine."""
    try:
        return int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise typer.BadParameter(f"this machine knows no user {user!r}") from error
