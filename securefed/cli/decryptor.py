"""``securefed decryptor``: the party that opens encrypted sums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from securefed.cli.serving import AsJsonLines, Users, numbers


def decryptor(
    *,
    kit: Annotated[Path, typer.Option(help="The decryptor's folder, as 'securefed provision' has written it.")],
    socket: Annotated[Path, typer.Option(help="Unix socket on which the server of this machine asks.")],
    user: Users = None,
    as_json: AsJsonLines = False,
) -> None:
    """Open the sums of one run until SIGTERM, and no single client's vector."""
    from securefed.federation.decrypting import run

    def say(state: str) -> None:
        if as_json:
            typer.echo(json.dumps({"decryptor": state, "kit": str(kit), "socket": str(socket)}))

    run(kit, socket, users=numbers(user), opened=lambda: say("listens"))
    say("ended")
