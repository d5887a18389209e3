"""What commands that serve a Unix socket have in common: who may come in, and what they say of themselves."""

from __future__ import annotations

import pwd
from collections.abc import Iterable
from typing import Annotated, TypeAlias

import typer

from securefed.cli.values import users

Users: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="Name or id of a user who may come in beside your own.", autocompletion=users),
]

AsJsonLines: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print a JSON object when it listens, and another at its end.")
]


def numbers(names: Iterable[str] | None) -> frozenset[int]:
    """Return the ids of users of this machine.

    Raises:
        BadParameter: If this machine does not know one.
    """
    return frozenset(map(_number, names or ()))


def _number(user: str) -> int:
    try:
        return int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise typer.BadParameter(f"this machine knows no user {user!r}") from error
