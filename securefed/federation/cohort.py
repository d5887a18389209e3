"""Every agent of a simulation in one process, each behind a socket of its own.

``python -m securefed.federation.cohort KITS SOCKETS``

A simulation's couriers live as long as its engine likes, so agents cannot live in them. Here they outlive every
courier, as they do on machines of their own; but whoever runs this process holds every client's data and keys. That is
what a simulation is: it shows what a federation computes, and protects nobody.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from securefed.federation import process
from securefed.federation.agent import unpredictable
from securefed.plan import Plan
from securefed.preparation import prepare
from securefed.rounds import Sources


def run(kits: Path, sockets: Path, *, rng: Sources = unpredictable) -> None:
    """Serve every client's kit until SIGTERM or SIGINT, then export the ledgers, signed.

    Args:
        kits: What :func:`securefed.federation.kits.write` has written.
        sockets: Folder of the sockets: ``0.sock`` for the first client of the plan's cohort, and so on.
        rng: Where noise and keys come from; tests alone name another.

    Raises:
        ConfigError: If a kit or a socket cannot be used.
    """
    ended, plan = process.told(), Plan.from_toml(kits / "server" / "plan.toml")
    attend = partial(process.attend, rng=rng, materials=prepare(plan), stopped=ended.is_set)
    with ThreadPoolExecutor(plan.clients) as pool:
        serving = []
        for number, name in enumerate(plan.cohort):
            path = sockets / f"{number}.sock"
            serving.append(pool.submit(attend, kits / "clients" / name / "policy.toml", path))
            # A socket is made under the umask of the whole process: one after the other.
            while not (path.exists() or serving[-1].done()):
                time.sleep(0.01)
        wait(serving, return_when=FIRST_EXCEPTION)
        ended.set()
    for each in serving:
        each.result()


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
