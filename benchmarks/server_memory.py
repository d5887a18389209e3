"""What the federation server holds in a round, with more clients and longer vectors.

Work: the first round of a federation, keys dealt for eight rounds and vectors added, carried by the federation's own
server in a process of its own: it sends every client the adapter, 8 bytes a coordinate, and takes a masked vector of
32-bit words from each, over a transport of pipes. The clients are in another process; masks, keys and signatures are
real, data is not: all add zeros. The server's database is on a disk. Figures are by how much the round raised the peak
memory of the server's process, and how much everybody's adapters and vectors are together: what a server would hold
that kept them. The floor is the sum and one vector.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from benchmarks.cohort import peak_megabytes
from securefed.adapters.linear import LinearProbe
from securefed.aggregation.identity import SERVER, Federation, Identity, Roster
from securefed.aggregation.masked_client import MaskedClient
from securefed.aggregation.session import Session
from securefed.aggregation.topology import choose
from securefed.federation.deadlines import Deadlines
from securefed.federation.memory import Memory
from securefed.federation.opening import Opening, is_opening
from securefed.federation.server import Server, Task
from securefed.federation.transport import Exchange, Keep, Tally, Transport
from securefed.plan import Plan
from securefed.rng import secure, seeded
from securefed.rounds import deal_of, parameters_of

TASK, FEATURES, BITS, ROUNDS = "memory", 99, 32, 8

ADAPTER, VECTOR = 8, BITS // 8
"""Bytes of a coordinate on the wire."""


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    small, whole = ((10, 10_000), (20, 10_000)), ((150, 10_000), (300, 10_000), *_LONG)
    return {"cases": [measured(clients, dim) for clients, dim in (small if quick else whole)]}


_LONG = tuple((clients, dim) for dim in (100_000, 1_000_000) for clients in (20, 60))
"""Clients and coordinates: three times the clients along each length."""


def measured(clients: int, dim: int) -> dict[str, object]:
    """Return the figures of one federation whose server is alone in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        grown = pool.submit(_serve, clients, dim).result()
    return {
        "clients": clients,
        "dim": dim,
        "neighbours": choose(clients, _plan(clients, dim).threshold).degree,
        "server_bytes": grown,
        "floor_bytes": 2 * VECTOR * dim,
        "everybodys_bytes": clients * (ADAPTER + VECTOR) * dim,
    }


def _serve(clients: int, dim: int) -> int:
    """Carry one round; return the bytes by which it raised this process's peak."""
    plan, adapter, own = _plan(clients, dim), _adapter(dim), Federation.throwaway((), rng=secure()).server
    with tempfile.TemporaryDirectory() as folder, _Piped(plan) as others:
        task = Task(TASK, plan, others.meet(own), own, adapter)
        with Memory(Path(folder) / "server", digest=bytes.fromhex(plan.digest), task=TASK) as memory:
            server = Server(task, others, memory, Deadlines(longest=600))
            # From here on the peak is this round's: what loading libraries took is forgotten.
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            before = peak_megabytes()
            done = next(server.rounds())
            grown = peak_megabytes() - before
    if done.survivors != plan.cohort:
        raise AssertionError("a client is missing")
    return round(grown * 2**20)


def _plan(clients: int, dim: int) -> Plan:
    return Plan.create(
        classes=tuple(f"class {number}" for number in range(dim // (FEATURES + 1))),
        model="none",
        model_digest="0" * 64,
        feature_dim=FEATURES,
        adapter={"kind": "linear"},
        clients=clients,
        max_dropouts=clients // 10,
        rounds=ROUNDS,
        rounds_per_deal=ROUNDS,
        expected_records=clients,
        setting="none",
        epsilon=None,
        delta=1e-5,
        clip_norm=1.0,
        learning_rate=1.0,
        bits=BITS,
    )


def _adapter(dim: int) -> LinearProbe:
    drawn = seeded(0, "text").generator().standard_normal((dim // (FEATURES + 1), FEATURES))
    return LinearProbe.from_text(text=torch.nn.functional.normalize(torch.from_numpy(drawn), dim=-1), scale=10.0)


@final
class _Piped(Transport):
    """Clients in another process."""

    def __init__(self, plan: Plan) -> None:
        spawn = get_context("spawn")
        self._end, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_clients, args=(theirs, plan))

    def __enter__(self) -> _Piped:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.send(None)
        self._process.join()

    def meet(self, server: Identity) -> Roster:
        """Return who is there."""
        roster = Roster(server.public, self._end.recv())
        self._end.send(roster)
        return roster

    def exchange(self, phase: str, requests: Mapping[str, bytes], keep: Keep, *, deadline: float) -> Exchange:
        """Ask one client after the other."""
        tally = Tally(keep)
        for name in requests:
            self._end.send(name)
            self._end.send_bytes(tally.sent(name, requests[name]))
            tally.came(name, self._end.recv_bytes())
        return tally.exchange(requests)


def _clients(end: Connection[Any, Any], plan: Plan) -> None:
    """Be the clients, until there is nothing more to answer."""
    rng, adapter = secure(), _adapter(plan.dim)
    members = {name: Identity(name, rng.bytes(32)) for name in plan.cohort if name != SERVER}
    end.send({name: identity.public for name, identity in members.items()})
    roster, roles = end.recv(), dict[str, MaskedClient]()
    vector = np.zeros(plan.dim, dtype=np.uint64)
    session: Session | None = None
    while (name := end.recv()) is not None:
        request = end.recv_bytes()
        if is_opening(request):
            opening = Opening.of(request)
            session = session or _session(plan, adapter, opening, roster)
            roles[name] = MaskedClient(session, members[name], vector, rng=rng)
            request = opening.frame
        end.send_bytes(roles[name].answer(request))


def _session(plan: Plan, adapter: LinearProbe, opening: Opening, roster: Roster) -> Session:
    """Return the sum that everybody's opening leads to."""
    deal = deal_of(plan, first=opening.deal, attempt=opening.dealt)
    told = adapter.restored(opening.kept)
    public = parameters_of(plan, told, run=opening.task, number=1, previous=opening.previous, deal=deal)
    return Session(public, roster)
