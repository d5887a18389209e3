"""Masked sums of a cohort drawn from a large roster, all parties in one process; and how often a sum survives."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, final

import numpy as np

from benchmarks.cohort import peak_megabytes
from securefed.aggregation.base import ClientRole
from securefed.aggregation.graph import Graph
from securefed.aggregation.identity import Federation, is_signed
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.masked_server import MaskedServer
from securefed.aggregation.members import Members
from securefed.aggregation.parameters import Context, Deal, Parameters
from securefed.aggregation.table import Table
from securefed.aggregation.topology import Topology, choose
from securefed.errors import SecureFedError
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.transport import Dropout, Reason
from securefed.rng import secure, seeded

BITS = 32

WATCHED = 5
"""Clients whose work is timed as it is on a machine of their own, where nobody else has checked a signature before."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Sums that are measured.

    Attributes:
        registered: Names in the roster.
        clients: How many of them are drawn into the cohort.
        dim: Length of the vectors.
        tolerated: Fraction of the cohort that the threshold lets go.
        leaving: Fraction that does go, before vectors are sent.
        rounds: Sums that one deal serves, all of them measured.
    """

    registered: int
    clients: int
    dim: int
    tolerated: float
    leaving: float
    rounds: int = 1

    @property
    def threshold(self) -> int:
        """Least number of clients that must survive."""
        return self.clients - int(self.tolerated * self.clients)

    @property
    def gone(self) -> int:
        """How many clients leave."""
        return int(self.leaving * self.clients)

    @property
    def topology(self) -> Topology:
        """Neighbours and witnesses, as the threshold needs them."""
        return choose(self.clients, self.threshold)


def measured(case: Case, *, seeds: int) -> dict[str, object]:
    """Return medians over the seeds whose sum was exact, each in a fresh process, and how many these were."""
    runs = []
    for seed in range(seeds):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            runs.append(pool.submit(_run, case, seed).result())
    exact = [run for run in runs if run["exact"]]
    return {
        "registered": case.registered,
        "clients": case.clients,
        "dim": case.dim,
        "bits": BITS,
        "threshold": case.threshold,
        "leaving": case.gone,
        "rounds_a_deal": case.rounds,
        "neighbours": case.topology.degree,
        "witnesses": case.topology.witnesses,
        **{name: statistics.median(run[name] for run in exact) for name in runs[0] if exact and name != "exact"},
        "seeds": seeds,
        "exact": len(exact),
    }


def survival(case: Case, *, seeds: int, by_coin: bool) -> float:
    """Return the share of seeds whose graph and dropouts leave enough shares of everybody and enough witnesses.

    No key is drawn for it: the graph follows from the seed as it does from the hash of the adverts, and what a sum
    needs is counted. Either exactly ``case.leaving`` leave, or each client by a coin of that chance.
    """
    return statistics.mean(_survives(case, seed, by_coin=by_coin) for seed in range(seeds))


def _survives(case: Case, seed: int, *, by_coin: bool) -> bool:
    topology = case.topology
    stays = _stays(case, seed, by_coin=by_coin)
    graph = Graph(topology, Members.everybody(case.clients), seeded(seed, "graph").bytes(32))
    return bool(
        stays.sum() >= case.threshold
        and stays[list(graph.witnesses)].sum() >= topology.witness_threshold
        and all(stays[list(graph.holders(at))].sum() >= topology.share_threshold for at in range(case.clients))
    )


def _stays(case: Case, seed: int, *, by_coin: bool) -> np.ndarray:
    random = seeded(seed, "leaving").generator()
    if by_coin:
        return random.random(case.clients) >= case.leaving
    return random.permutation(case.clients) >= case.gone


def _run(case: Case, seed: int) -> dict[str, float]:
    """Carry the sums of one deal; return figures a round."""
    names = [f"client-{place:06d}" for place in range(case.registered)]
    drawn = sorted(seeded(seed, "cohort").generator().choice(case.registered, case.clients, replace=False))
    cohort = tuple(names[place] for place in drawn)
    leaving = {name for name, stays in zip(cohort, _stays(case, seed, by_coin=False), strict=True) if not stays}
    members, table, before = Federation.throwaway(names, rng=secure()), Table(), peak_megabytes()
    sums = [_Sum(case, members, table, cohort, number) for number in range(case.rounds)]
    exact = [each.carry(leaving) for each in sums]
    return {
        "seconds": statistics.mean(each.seconds for each in sums),
        "server_seconds": statistics.mean(each.server_seconds for each in sums),
        "client_milliseconds": 1000 * statistics.mean(each.client_seconds for each in sums),
        "bytes_up": sum(each.received for each in sums) / case.rounds / case.clients,
        "bytes_down": sum(each.sent for each in sums) / case.rounds / case.clients,
        "phases": statistics.mean(each.phases for each in sums),
        "peak_megabytes": peak_megabytes() - before,
        "exact": all(exact),
    }


@final
@dataclass(slots=True, eq=False)
class _Watched:
    """A client whose work is timed with an empty memory of signatures."""

    role: ClientRole
    seconds: float = 0.0

    def answer(self, request: bytes) -> bytes:
        """Answer, and add the processor's seconds that it took."""
        is_signed.cache_clear()
        start = time.process_time()
        answer = self.role.answer(request)
        self.seconds += time.process_time() - start
        return answer


@final
@dataclass(slots=True, eq=False)
class _Sum:
    """One sum and what it took; seconds are of the processor, ``seconds`` those of everybody together."""

    case: Case
    members: Federation
    table: Table
    cohort: tuple[str, ...]
    number: int
    seconds: float = 0.0
    server_seconds: float = 0.0
    client_seconds: float = 0.0
    sent: int = 0
    received: int = 0
    phases: int = 0
    _vector: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._vector = np.arange(self.case.dim, dtype=np.uint64)

    def carry(self, leaving: Iterable[str]) -> bool:
        """Carry every phase; tell whether the sum is that of those who stayed."""
        scheme, gone = MaskedSum(self._public(), self.members, table=self.table), frozenset(leaving)
        parties: dict[str, Any] = {name: scheme.client(name, self._vector, rng=secure()) for name in self.cohort}
        watched = {name: _Watched(parties[name]) for name in [n for n in self.cohort if n not in gone][:WATCHED]}
        server, start = scheme.server(), time.process_time()
        try:
            outside = self._exchange(server, parties | watched, gone)
            total = server.total()
        except SecureFedError:
            return False
        self.seconds = time.process_time() - start
        self.server_seconds = self.seconds - outside
        self.client_seconds = statistics.mean(each.seconds for each in watched.values())
        self.table.keep(server)
        expected = self._vector * np.uint64(len(self.cohort) - len(gone)) & np.uint64(2**BITS - 1)
        return np.array_equal(total, expected)

    def _exchange(self, server: MaskedServer, parties: Mapping[str, Any], gone: frozenset[str]) -> float:
        """Carry the phases; return the seconds that clients took."""

        def lost(phase: str, name: str) -> Dropout | None:
            return Dropout(Reason.GONE) if phase == "mask" and name in gone else None

        transport, seconds = EmbeddedTransport(parties, before=lost), 0.0
        while requests := server.requests():
            start, answers = time.process_time(), dict[str, bytes]()
            exchange = transport.exchange(server.phase, requests, answers.__setitem__, deadline=0.0)
            seconds += time.process_time() - start
            self.sent += exchange.sent
            self.received += exchange.received
            self.phases += 1
            server.collect(answers)
        return seconds

    def _public(self) -> Parameters:
        deal = self.table.deal or Deal(self.number, 0, self.case.rounds)
        context = Context(task="engine", round=self.number, model=self.number.to_bytes(32), plan=bytes(32), dealt=deal)
        return Parameters(
            bits=BITS, dim=self.case.dim, cohort=self.cohort, threshold=self.case.threshold, context=context
        )
