"""What the server must not forget: finished rounds, and the answers of the finished phases of the round that goes on.

Nothing here is secret from the server: it is what the server has received anyway. A masked vector stays on its disk
only until the round is over.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, final

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from securefed.aggregation.exclusive import opened
from securefed.encoding import Vector
from securefed.errors import ConfigError

DEALING = 2
"""How many phases deal keys and shares; they come first in a round that begins with them, and serve later ones."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS task (digest BLOB, name TEXT);
CREATE TABLE IF NOT EXISTS round (
    number INTEGER PRIMARY KEY, attempt INTEGER, state BLOB, head BLOB, survivors TEXT, transcript TEXT
);
CREATE TABLE IF NOT EXISTS attempt (number INTEGER PRIMARY KEY, attempt INTEGER);
CREATE TABLE IF NOT EXISTS deal (first INTEGER, attempt INTEGER);
CREATE TABLE IF NOT EXISTS phase (place INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS answer (phase INTEGER, client TEXT, answer BLOB, PRIMARY KEY (phase, client));
"""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A round that is over.

    Attributes:
        number: From 1.
        kept: What the server keeps of the adapter after it (:meth:`securefed.adapters.base.Adapter.kept`), by name.
        velocity: The momentum after it, shape ``(dim,)``.
        head: Of its record.
        survivors: Who is in its sum.
        transcript: Lines of its record.
    """

    number: int
    kept: Mapping[str, npt.NDArray[np.float64]] = field(repr=False)
    velocity: Vector = field(repr=False)
    head: bytes
    survivors: tuple[str, ...]
    transcript: tuple[str, ...] = field(repr=False)


@final
class Memory:
    """A server's progress through one run, on disk; SQLite keeps it durable and lets one process write.

    Args:
        path: The file; made if need be, for its owner's eyes only.
        digest: SHA-256 of the plan.
        task: Name of the run.

    Raises:
        ConfigError: If the file cannot be used, or belongs to another run.
    """

    def __init__(self, path: Path, *, digest: bytes, task: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = opened(path, _SCHEMA)
        known = self._database.execute("SELECT digest, name FROM task").fetchone()
        if known is None:
            self._database.execute("INSERT INTO task VALUES (?, ?)", (digest, task))
        elif known != (digest, task):
            self._database.close()
            raise ConfigError(f"{path} belongs to run {known[1]!r} of another plan; name another file for {task!r}")

    def finished(self) -> tuple[Finished, ...]:
        """Return the rounds that are over, in order."""
        rows = self._database.execute("SELECT number, state, head, survivors, transcript FROM round ORDER BY number")
        return tuple(
            Finished(number, *_unpacked(state), head, tuple(json.loads(survivors)), tuple(json.loads(transcript)))
            for number, state, head, survivors, transcript in rows
        )

    def finish(self, done: Finished, *, deal_goes_on: bool) -> None:
        """Write down that a round is over, and forget its answers, except those that deal if they are needed on."""
        lists = (json.dumps(done.survivors), json.dumps(done.transcript))
        with self._writing():
            values = (done.number, self.attempt(done.number), _packed(done), done.head, *lists)
            self._database.execute("INSERT INTO round VALUES (?, ?, ?, ?, ?, ?)", values)
            self._forget(first=DEALING if deal_goes_on else 0)

    def deal(self) -> tuple[int, int] | None:
        """Return round and attempt of the deal that goes on, or None if keys are dealt next."""
        row = self._database.execute("SELECT first, attempt FROM deal").fetchone()
        return None if row is None else (int(row[0]), int(row[1]))

    def begin_deal(self, number: int, attempt: int) -> None:
        """Write down that keys are dealt in a round."""
        with self._writing():
            self._forget(first=0)
            self._database.execute("INSERT INTO deal VALUES (?, ?)", (number, attempt))

    def attempt(self, number: int) -> int:
        """Return how often a round was given up."""
        row = self._database.execute("SELECT attempt FROM attempt WHERE number = ?", (number,)).fetchone()
        return 0 if row is None else int(row[0])

    def give_up(self, number: int) -> None:
        """Write down that an attempt at a round has failed, and forget its answers."""
        with self._writing():
            self._database.execute("INSERT OR REPLACE INTO attempt VALUES (?, ?)", (number, self.attempt(number) + 1))
            self._forget(first=0)

    def answers(self, place: int) -> Answers | None:
        """Return the answers of the round's phase at ``place``, or None if that phase is not over."""
        over = self._database.execute("SELECT 1 FROM phase WHERE place = ?", (place,)).fetchone()
        return Answers(self._database, place) if over else None

    @contextmanager
    def phase(self, place: int) -> Iterator[Callable[[str, bytes], None]]:
        """Yield what takes one client's answer of a phase, straight to the disk; the phase is over at the end.

        It is one transaction: if the process dies or an error ends it, no answer of the phase was ever there and it
        is asked again. Once it is over, who is not in it has dropped out for good.
        """

        def keep(name: str, answer: bytes) -> None:
            self._database.execute("INSERT INTO answer VALUES (?, ?, ?)", (place, name, answer))

        with self._writing():
            self._database.execute("INSERT INTO phase VALUES (?)", (place,))
            yield keep

    def close(self) -> None:
        """Let another process use the file."""
        self._database.close()

    def __enter__(self) -> Self:
        """Return the memory."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def _forget(self, *, first: int) -> None:
        """Forget the answers of a phase and those after it; with the first phase goes the deal."""
        self._database.execute("DELETE FROM answer WHERE phase >= ?", (first,))
        self._database.execute("DELETE FROM phase WHERE place >= ?", (first,))
        if first < DEALING:
            self._database.execute("DELETE FROM deal")

    def _writing(self) -> _Writing:
        return _Writing(self._database)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Answers(Mapping[str, bytes]):
    """The answers of a phase that is over, by client, sorted; each is read when it is looked up, and kept by nobody."""

    database: sqlite3.Connection = field(repr=False)
    place: int

    def __getitem__(self, name: str) -> bytes:
        """Read one answer."""
        found = self.database.execute("SELECT answer FROM answer WHERE phase = ? AND client = ?", (self.place, name))
        if (row := found.fetchone()) is None:
            raise KeyError(name)
        return bytes(row[0])

    def __iter__(self) -> Iterator[str]:
        """Return the names of those who answered."""
        rows = self.database.execute("SELECT client FROM answer WHERE phase = ? ORDER BY client", (self.place,))
        return iter([name for (name,) in rows])

    def __len__(self) -> int:
        """Return how many answered."""
        (count,) = self.database.execute("SELECT count(*) FROM answer WHERE phase = ?", (self.place,)).fetchone()
        return int(count)


def _packed(done: Finished) -> bytes:
    tensors = {f"adapter.{name}": np.ascontiguousarray(tensor) for name, tensor in done.kept.items()}
    return save(tensors | {"velocity": done.velocity})


def _unpacked(state: bytes) -> tuple[dict[str, npt.NDArray[np.float64]], Vector]:
    tensors = load(state)
    velocity = tensors.pop("velocity")
    return {name.removeprefix("adapter."): tensor for name, tensor in tensors.items()}, velocity


@final
class _Writing:
    """One transaction: all of it is on disk at the end, or nothing."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._database.execute("COMMIT" if kind is None else "ROLLBACK")
