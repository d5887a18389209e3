"""An agent as a process of its own: ``python -m securefed.federation.process POLICY SOCKET``."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from securefed.federation.agent import Agent, unpredictable
from securefed.federation.door import serve
from securefed.federation.kits import open_owner
from securefed.preparation import Materials
from securefed.rounds import Sources


def run(
    policy: Path,
    socket: Path,
    *,
    users: frozenset[int] = frozenset(),
    rng: Sources = unpredictable,
    opened: Callable[[], None] = lambda: None,
) -> None:
    """Serve the kit that a policy lies in until SIGTERM or SIGINT, then export the ledger, signed.

    Args:
        policy: The client's ``policy.toml``; its folder is the kit (:mod:`securefed.federation.kits`).
        socket: Where couriers find the agent.
        users: Ids of the users that may bring messages beside the agent's own.
        rng: Where noise and keys come from; tests alone name another.
        opened: Told once, when messages can come.

    Raises:
        ConfigError: If the kit or the socket cannot be used.
    """
    attend(policy, socket, users=users, rng=rng, stopped=told().is_set, opened=opened)


def told() -> threading.Event:
    """Return what is set when this process is asked to end, and let its agents log."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("securefed").setLevel(logging.INFO)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    return ended


def attend(
    policy: Path,
    socket: Path,
    *,
    users: frozenset[int] = frozenset(),
    rng: Sources = unpredictable,
    materials: Materials | None = None,
    stopped: Callable[[], bool],
    opened: Callable[[], None] = lambda: None,
) -> None:
    """Serve the kit that a policy lies in until told to stop, then export the ledger, signed; see :func:`run`.

    ``materials`` are those of the plan, if somebody in this process has prepared them already.
    """
    with open_owner(policy.parent, policy=policy, rng=rng, materials=materials) as owner:
        serve(Agent(owner), socket, users=users, stopped=stopped, opened=opened)
        if owner.client.ledger is not None:
            owner.client.ledger.export(policy.parent / "ledger.jsonl", sign=owner.identity.sign)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
