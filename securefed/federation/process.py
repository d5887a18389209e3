"""An agent as a process of its own: ``python -m securefed.federation.process POLICY SOCKET``."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path

from securefed.federation.agent import Agent, unpredictable
from securefed.federation.door import serve
from securefed.federation.kits import open_owner
from securefed.rounds import Sources


def run(policy: Path, socket: Path, *, users: frozenset[int] = frozenset(), rng: Sources = unpredictable) -> None:
    """Serve the kit that a policy lies in until SIGTERM or SIGINT, then export the ledger, signed.

    Args:
        policy: The client's ``policy.toml``; its folder is the kit (:mod:`securefed.federation.kits`).
        socket: Where couriers find the agent.
        users: Ids of the users that may bring messages beside the agent's own.
        rng: Where noise and keys come from; tests alone name another.

    Raises:
        ConfigError: If the kit or the socket cannot be used.
    """
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("securefed").setLevel(logging.INFO)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with open_owner(policy.parent, policy=policy, rng=rng) as owner:
        serve(Agent(owner), socket, users=users, stopped=ended.is_set)
        if owner.client.ledger is not None:
            owner.client.ledger.export(policy.parent / "ledger.jsonl", sign=owner.identity.sign)


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
