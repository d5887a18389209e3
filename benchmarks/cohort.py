"""A cohort of simulated clients in processes of their own, so that the server's process holds the server alone.

Clients never leave the process that made them, nor do their secrets; what travels is what would travel on a wire, by
pipes. The server asks for one answer at a time while every process works one request ahead.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, final

import numpy as np

from securefed.aggregation.identity import SERVER, Federation, Identity, Roster
from securefed.aggregation.masked_client import MaskedClient
from securefed.aggregation.masked_server import MaskedServer
from securefed.aggregation.parameters import Parameters
from securefed.aggregation.session import Session
from securefed.encoding import RingVector
from securefed.rng import secure

PROCESSES = 2


@final
@dataclass(frozen=True, slots=True)
class Figures:
    """What one masked sum took.

    Attributes:
        total: The sum.
        seconds: From the first request to the sum, on the clock.
        server_seconds: Of the server's process.
        client_seconds: Of all clients' processes together.
        server_megabytes: By how much the sum raised the peak memory of the server's process.
        bytes_of: What one client sent and received, by phase and direction.
    """

    total: RingVector
    seconds: float
    server_seconds: float
    client_seconds: float
    server_megabytes: float
    bytes_of: Mapping[str, int]


def masked_sum(public: Parameters, *, leaving: Iterable[str] = ()) -> Figures:
    """Add one vector, ``0, 1, 2 ..``, as often as there are clients that do not leave before they are asked for it."""
    cohort = _Cohort(public)
    gone, watched = frozenset(leaving), _Counted(public.cohort[1])
    before, clock, work = peak_megabytes(), time.perf_counter(), time.process_time()
    server = MaskedServer(cohort.session, cohort.server)
    while requests := server.requests():
        lost = gone if server.phase == "mask" else frozenset[str]()
        server.collect(_Answers(cohort, requests, lost, watched.of(server.phase)))
    seconds, spent = time.perf_counter() - clock, time.process_time() - work
    grown = peak_megabytes() - before
    return Figures(server.total(), seconds, spent, sum(cohort.dismiss()), grown, watched.bytes_of)


def peak_megabytes() -> float:
    """Return this process's peak on Linux; ``getrusage`` would count its parent's, which it was forked from."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@final
class _Cohort:
    """The processes, and the session that they and the server share."""

    def __init__(self, public: Parameters) -> None:
        spawn = get_context("spawn")
        self._ends: list[Connection[Any, Any]] = []
        self._processes: list[SpawnProcess] = []
        for process in range(PROCESSES):
            ours, theirs = spawn.Pipe()
            self._processes.append(spawn.Process(target=_clients, args=(theirs, public.cohort[process::PROCESSES])))
            self._processes[-1].start()
            self._ends.append(ours)
        keys = {name: key for end in self._ends for name, key in end.recv().items()}
        own = Federation.throwaway((), rng=secure()).server
        self.server, self.session = own, Session(public, Roster(own.public, keys))
        for end in self._ends:
            end.send((public, self.session.roster))

    def end(self, name: str) -> Connection[Any, Any]:
        """Return the pipe to a client."""
        return self._ends[self.session.parameters.index(name) % PROCESSES]

    def dismiss(self) -> list[float]:
        """End the processes and return the seconds that each worked."""
        for end in self._ends:
            end.send(None)
        seconds = [float(end.recv()) for end in self._ends]
        for process in self._processes:
            process.join()
        return seconds


@final
class _Answers(Mapping[str, bytes]):
    """The answers of one phase, each fetched when it is asked for and kept by nobody; in the order of the requests."""

    def __init__(
        self, cohort: _Cohort, requests: Mapping[str, bytes], lost: frozenset[str], seen: Callable[[str, int], None]
    ) -> None:
        self._cohort, self._requests, self._seen = cohort, requests, seen
        self._asked = dict.fromkeys(name for name in requests if name not in lost)
        ends = {id(end): end for end in map(cohort.end, requests)}
        self._waiting = {key: deque(n for n in requests if id(cohort.end(n)) == key and n not in lost) for key in ends}
        for end in ends.values():
            self._ask(end)

    def __getitem__(self, name: str) -> bytes:
        if name not in self._asked:
            raise KeyError(name)
        end = self._cohort.end(name)
        self._ask(end)
        answer: bytes = end.recv_bytes()
        self._seen(name, len(answer))
        return answer

    def __iter__(self) -> Iterator[str]:
        return iter(self._asked)

    def __len__(self) -> int:
        return len(self._asked)

    def _ask(self, end: Connection[Any, Any]) -> None:
        if waiting := self._waiting[id(end)]:
            name = waiting.popleft()
            request = self._requests[name]
            self._seen(name, len(request))
            end.send((name, request))


@final
class _Counted:
    """Counts what one client sends and receives."""

    def __init__(self, name: str) -> None:
        self.bytes_of: dict[str, int] = {}
        self._name = name

    def of(self, phase: str) -> Callable[[str, int], None]:
        """Return what is told of every message of a phase."""

        def seen(name: str, size: int) -> None:
            if name == self._name:
                self.bytes_of[phase] = self.bytes_of.get(phase, 0) + size

        return seen


def _clients(end: Connection[Any, Any], names: tuple[str, ...]) -> None:
    """Be some of the clients, until there is nothing more to answer."""
    rng = secure()
    members = {name: Identity(name, rng.bytes(32)) for name in names if name != SERVER}
    end.send({name: identity.public for name, identity in members.items()})
    public, roster = end.recv()
    session, vector = Session(public, roster), np.arange(public.dim, dtype=np.uint64) & public.modulus_mask
    roles = {name: MaskedClient(session, identity, vector, rng=rng) for name, identity in members.items()}
    start = time.process_time()
    while (message := end.recv()) is not None:
        name, request = message
        end.send_bytes(roles[name].answer(request))
    end.send(time.process_time() - start)
