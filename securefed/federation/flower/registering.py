"""Tell a SuperLink the public keys of SuperNodes: ``python -m securefed.federation.flower.registering KEY.pub ...``.

It is ``flwr supernode register`` for all of them in one process: Flower's command line takes seconds to start.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

import click
from flwr.cli.app import app

TRIES = 5
"""How often a key is registered: a SuperLink on a busy machine does not always answer in time."""


def register(key: str) -> bool:
    """Register a key with the SuperLink that Flower's settings call ``here``, and tell whether it took it."""
    for _ in range(TRIES):
        if _taken(key):
            return True
        time.sleep(1)
    return False


def _taken(key: str) -> bool:
    try:
        return not app(["supernode", "register", key, "here"], standalone_mode=False)
    except (click.ClickException, SystemExit) as error:
        click.echo(str(error))
        return False


def main(keys: Iterable[str]) -> int:
    """Register all keys and return the exit status: 1 if one of them was not taken."""
    return int(not all(map(register, keys)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
