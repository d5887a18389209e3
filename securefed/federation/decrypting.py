"""The decryptor as a process of its own: ``python -m securefed.federation.decrypting KIT SOCKET``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from securefed.federation import kits, process
from securefed.federation.door import serve
from securefed.rng import secure


def run(
    kit: Path,
    socket: Path,
    *,
    users: frozenset[int] = frozenset(),
    opened: Callable[[], None] = lambda: None,
) -> None:
    """Serve a decryptor's kit until SIGTERM or SIGINT. Its keys of sums live in this process only.

    Args:
        kit: The decryptor's folder (:mod:`securefed.federation.kits`).
        socket: Where the server finds it.
        users: Ids of the users that may ask beside its own: the one that Flower's SuperLink runs as.
        opened: Told once, when it can be asked.

    Raises:
        ConfigError: If the kit or the socket cannot be used.
    """
    ended = process.told()
    with kits.open_gate(kit, rng=secure()) as gate:
        serve(gate, socket, users=users, stopped=ended.is_set, opened=opened)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
