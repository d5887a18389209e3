"""The ledger: what a client's data was charged, durable before noise is drawn, chained, and refusing to overspend.

A ledger belongs to a data set, not to a run: every run that touches the data charges the same ledger, and what is left
is what all of them together left. Storage and locking are SQLite's (``synchronous = FULL``, one write transaction a
charge): a charge that returned survives a crash, a charge that did not return may or may not be there, and costs budget
if it is.

Each line carries the SHA-256 of the line before it. Editing, reordering or removing a line in the middle breaks the
chain. What the chain alone cannot show: that lines at the end were cut off together with everything that names them, or
that the file was replaced by an older copy of itself. A mirror in another place shows both
(:mod:`securefed.privacy.mirror`), as does comparing the head with one that somebody else keeps.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self, final

from securefed.errors import LedgerError
from securefed.privacy.book import (
    FORMAT,
    Book,
    Entry,
    Json,
    check_budget,
    check_header,
    line_of,
    parse,
    read_export,
    signature_line,
    signed_bytes,
)
from securefed.privacy.events import Event
from securefed.privacy.mirror import Mirror
from securefed.privacy.storage import connect, named, writing

__all__ = ["Book", "Entry", "Ledger", "parse", "read_export"]

TABLES = (
    "CREATE TABLE IF NOT EXISTS lines (number INTEGER PRIMARY KEY, line TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS salt (salt TEXT NOT NULL)",
)


@final
class Ledger:
    """One data set's ledger, open for charging; see the module's text."""

    def __init__(self, path: Path, connection: sqlite3.Connection, mirror: Mirror | None) -> None:
        self._path, self._connection, self._mirror = path, connection, mirror
        self._known: tuple[int, Book] | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        dataset: str,
        budget_epsilon: float,
        budget_delta: float,
        filter: str = "gaussian",
        mirror: Path | None = None,
    ) -> Self:
        """Open a ledger, or make a new one.

        Args:
            path: The file; its folder is made if need be.
            dataset: Identifier of the data set, kept as a salted digest.
            budget_epsilon: For a new ledger. One that exists keeps its own budget.
            budget_delta: For a new ledger; must be that of one that exists.
            filter: For a new ledger: ``gaussian`` (exact, for full batches and discrete Gaussian shares), or ``renyi``
                or ``renyi-ORDER`` (for every kind of event). One that exists keeps its own.
            mirror: File in another place that remembers how far the ledger came; made if need be.

        Raises:
            ConfigError: If a budget is out of bounds.
            LedgerError: If the file cannot be used, is damaged, was rolled back, or belongs to another data set or
                delta.
        """
        check_header(budget_epsilon=budget_epsilon, budget_delta=budget_delta, filter=filter)
        with ExitStack() as failed:
            connection = connect(path, *TABLES)
            failed.callback(connection.close)
            seen = None
            if mirror is not None:
                seen = Mirror(mirror)
                failed.callback(seen.close)
            ledger = cls(path, connection, seen)
            with named(path), writing(connection):
                header = {"budget_epsilon": budget_epsilon, "budget_delta": budget_delta, "filter": filter}
                version, book = ledger._begin(dataset, header)
            ledger._remember(version, book)
            failed.pop_all()
        return ledger

    def charge(self, event: Event, *, run: str, round: int, purpose: str, plan_digest: str) -> Entry:
        """Charge one event; when this returns, the charge is on disk, and in the mirror.

        Raises:
            BudgetExceeded: If the data would have spent more than its budget; nothing was written.
            LedgerError: If the file cannot be written, its chain does not hold, it was rolled back, or it cannot hold
                events of this kind; nothing may be drawn or sent.
        """
        entry = Entry(run=run, round=round, purpose=purpose, plan_digest=plan_digest, event=event)
        with named(self._path):
            with writing(self._connection):
                version, book = self._current()
                check_budget(book, [event])
                self._known = None  # until the commit has returned, nothing is known
                line = self._append(book.head, entry.to_json())
            self._remember(version, book.followed_by(entry, line))
        return entry

    def holds(self, event: Event, *, run: str, round: int, step: int, plan_digest: str) -> bool:
        """Tell whether a step of a round, from 1, was charged before: by a process that has died since.

        Raises:
            LedgerError: If something else was charged for it.
        """
        own = [entry for entry in self.read().entries if (entry.run, entry.round) == (run, round)]
        if len(own) < step:
            return False
        if (own[step - 1].event, own[step - 1].plan_digest) != (event, plan_digest):
            raise LedgerError(f"{self._path} holds another charge for step {step} of round {round} of run {run}")
        return True

    def preflight(self, events: Sequence[Event]) -> None:
        """Refuse a whole plan that would be refused on its way.

        Raises:
            BudgetExceeded: If the events do not fit into what is left.
            LedgerError: If the ledger cannot hold events of this kind.
        """
        check_budget(self.read(), events)

    def read(self) -> Book:
        """Return the content, with its chain checked.

        Raises:
            LedgerError: If the file cannot be read or the chain does not hold.
        """
        with named(self._path):
            return parse(self._lines(), where=str(self._path))

    def export(self, path: Path, *, sign: Callable[[bytes], bytes] | None = None) -> None:
        """Write what :meth:`exported` returns into a file, which :func:`read_export` reads.

        Raises:
            LedgerError: If it cannot be written, or the ledger does not hold.
        """
        text = self.exported(sign=sign)
        with named(path):
            path.write_text(text, encoding="utf-8")

    def exported(self, *, sign: Callable[[bytes], bytes] | None = None) -> str:
        """Return all lines as JSON lines.

        Args:
            sign: Signs how many lines there are and the last one's digest, such as the ``sign`` of an Ed25519 key; the
                signature is the file's last line.

        Raises:
            LedgerError: If the ledger does not hold.
        """
        with named(self._path):
            lines = self._lines()
            if sign is not None:
                lines.append(signature_line(sign(signed_bytes(parse(lines, where=str(self._path))))))
            return "".join(f"{line}\n" for line in lines)

    def close(self) -> None:
        """Close the files."""
        self._connection.close()
        if self._mirror is not None:
            self._mirror.close()

    def _begin(self, dataset: str, header: Json) -> tuple[int, Book]:
        """Write the first line of a new ledger, or check that of an old one; return what :meth:`_current` does."""
        if not self._lines():
            salt = secrets.token_hex(16)
            self._connection.execute("INSERT INTO salt VALUES (?)", (salt,))
            self._append("", {"format": FORMAT, "dataset": _salted(salt, dataset), **header})
            return self._current()
        version, book = self._current()
        salts = self._connection.execute("SELECT salt FROM salt").fetchall()
        if [book.dataset] != [_salted(salt, dataset) for (salt,) in salts]:
            raise LedgerError(f"{self._path} belongs to another data set than {dataset!r}; name another ledger")
        if book.budget_delta != header["budget_delta"]:
            raise LedgerError(
                f"{self._path} counts at delta {book.budget_delta:g}, the plan at {header['budget_delta']:g}; "
                "use the former"
            )
        return version, book

    def _current(self) -> tuple[int, Book]:
        """Return version and content while the write lock is held: read anew only if somebody else may have written."""
        version = self._version()
        if self._known is None or self._known[0] != version:
            book = parse(self._lines(), where=str(self._path))
            if self._mirror is not None:
                self._mirror.check(book)
            self._known = (version, book)
        return self._known

    def _remember(self, version: int, book: Book) -> None:
        """Keep the state after a commit, here and in the mirror.

        The version is that of the time under the lock: a later one may be of lines that others wrote since, which this
        book does not hold.
        """
        self._known = (version, book)
        if self._mirror is not None:
            self._mirror.advance(book)

    def _version(self) -> int:
        """Return a number that changes when another connection commits, and not when this one does."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def _append(self, previous: str, values: Json) -> str:
        line = line_of(previous, values)
        self._connection.execute("INSERT INTO lines (line) VALUES (?)", (line,))
        return line

    def _lines(self) -> list[str]:
        return [line for (line,) in self._connection.execute("SELECT line FROM lines ORDER BY number")]


def _salted(salt: str, dataset: str) -> str:
    return hashlib.sha256(f"{salt}\n{dataset}".encode()).hexdigest()
