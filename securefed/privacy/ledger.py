"""The ledger: what a client's data was charged, durable before noise is drawn, chained, and refusing to overspend.

A ledger belongs to a data set, not to a run: every run that touches the data charges the same ledger, and what is left
is what all of them together left. Storage and locking are SQLite's (``synchronous = FULL``, one write transaction a
charge): a charge that returned survives a crash, a charge that did not return may or may not be there, and costs budget
if it is.

Each line carries the SHA-256 of the line before it. Editing, reordering or removing a line in the middle breaks the
chain. What the chain alone cannot show: that lines at the end were cut off together with everything that names them, or
that the file was replaced by an older copy of itself. Compare the head with one that somebody else keeps.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias, final

from securefed.errors import BudgetExceeded, ConfigError, LedgerError, VerificationError
from securefed.privacy import accounting
from securefed.privacy.accounting import SumOfShares

Json: TypeAlias = dict[str, Any]

FORMAT = "securefed-ledger/1"
PATIENCE = 30.0
"""Seconds that a charge waits for another process that is charging the same ledger."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One charge.

    Attributes:
        run: Which run charged it.
        round: In which round, from 1.
        purpose: What for, such as ``train``.
        plan_digest: Digest of the plan that it followed.
        event: What was done.
    """

    run: str
    round: int
    purpose: str
    plan_digest: str
    event: SumOfShares

    def to_json(self) -> Json:
        """Return plain values."""
        fields = ("run", "round", "purpose", "plan_digest")
        return {name: getattr(self, name) for name in fields} | {"event": self.event.to_json()}

    @classmethod
    def from_json(cls, values: Json) -> Entry:
        """Read plain values.

        Raises:
            VerificationError: If they are not a charge.
        """
        try:
            return cls(**{**values, "event": SumOfShares.from_json(values["event"])})
        except (KeyError, TypeError) as error:
            raise VerificationError(f"not a charge: {error}") from error


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """A ledger's content, read and found whole.

    Attributes:
        dataset: Salted digest of the data set's identifier.
        budget_epsilon: What the owner of the data allows over all runs.
        budget_delta: The delta at which epsilon is counted.
        entries: All charges.
        head: SHA-256 of the last line.
    """

    dataset: str
    budget_epsilon: float
    budget_delta: float
    entries: Sequence[Entry] = field(repr=False)
    head: str


@final
class Ledger:
    """One data set's ledger, open for charging; see the module's text."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path, *, dataset: str, budget_epsilon: float, budget_delta: float) -> Self:
        """Open a ledger, or make a new one.

        Args:
            path: The file; its folder is made if need be.
            dataset: Identifier of the data set, kept as a salted digest.
            budget_epsilon: For a new ledger. One that exists keeps its own budget.
            budget_delta: For a new ledger; must be that of one that exists.

        Raises:
            ConfigError: If a budget is out of bounds.
            LedgerError: If the file cannot be used, is damaged, or belongs to another data set or delta.
        """
        if not (budget_epsilon > 0 and math.isfinite(budget_epsilon) and 0 < budget_delta < 1):
            raise ConfigError(
                f"the budget is ({budget_epsilon}, {budget_delta}); epsilon must be positive, delta in (0, 1)"
            )
        with ExitStack() as failed, _named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
            failed.callback(connection.close)
            # With a write-ahead log, FULL still means on disk before COMMIT returns, by one flush instead of four.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("CREATE TABLE IF NOT EXISTS lines (number INTEGER PRIMARY KEY, line TEXT NOT NULL)")
            connection.execute("CREATE TABLE IF NOT EXISTS salt (salt TEXT NOT NULL)")
            ledger = cls(path, connection)
            with ledger._writing():
                ledger._begin(dataset, budget_epsilon, budget_delta)
            failed.pop_all()
        return ledger

    def charge(self, event: SumOfShares, *, run: str, round: int, purpose: str, plan_digest: str) -> Entry:
        """Charge one event; when this returns, the charge is on disk.

        Raises:
            BudgetExceeded: If the data would have spent more than its budget; nothing was written.
            LedgerError: If the file cannot be written or its chain does not hold; nothing may be drawn or sent.
        """
        entry = Entry(run=run, round=round, purpose=purpose, plan_digest=plan_digest, event=event)
        with self._writing():
            book = self._read()
            _check_budget(book, [event])
            self._append(book.head, entry.to_json())
        return entry

    def preflight(self, events: Sequence[SumOfShares]) -> None:
        """Refuse a whole plan that would be refused on its way.

        Raises:
            BudgetExceeded: If the events do not fit into what is left.
        """
        _check_budget(self.read(), events)

    def read(self) -> Book:
        """Return the content, with its chain checked.

        Raises:
            LedgerError: If the file cannot be read or the chain does not hold.
        """
        with _named(self._path):
            return self._read()

    def export(self, path: Path) -> None:
        """Write all lines as a JSON-lines file, which :func:`read_export` reads.

        Raises:
            LedgerError: If it cannot be written.
        """
        with _named(path):
            path.write_text("".join(f"{line}\n" for line in self._lines()), encoding="utf-8")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _begin(self, dataset: str, budget_epsilon: float, budget_delta: float) -> None:
        """Write the first line of a new ledger, or check that of an old one."""
        lines = self._lines()
        if not lines:
            salt = secrets.token_hex(16)
            self._connection.execute("INSERT INTO salt VALUES (?)", (salt,))
            budget = {"budget_epsilon": budget_epsilon, "budget_delta": budget_delta}
            self._append("", {"format": FORMAT, "dataset": _salted(salt, dataset), **budget})
            return
        book = self._read()
        (salt,) = self._connection.execute("SELECT salt FROM salt").fetchone()
        if book.dataset != _salted(salt, dataset):
            raise LedgerError(f"{self._path} belongs to another data set than {dataset!r}; name another ledger")
        if book.budget_delta != budget_delta:
            raise LedgerError(
                f"{self._path} counts at delta {book.budget_delta:g}, the plan at {budget_delta:g}; use the former"
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the one write lock; commit at the end, or leave everything as it was."""
        with _named(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _append(self, previous: str, values: Json) -> None:
        line = json.dumps({"previous": previous, **values}, sort_keys=True, separators=(",", ":"))
        self._connection.execute("INSERT INTO lines (line) VALUES (?)", (line,))

    def _lines(self) -> list[str]:
        return [line for (line,) in self._connection.execute("SELECT line FROM lines ORDER BY number")]

    def _read(self) -> Book:
        return parse(self._lines(), where=str(self._path))


def read_export(path: Path) -> Book:
    """Read an exported ledger and check its chain.

    Raises:
        LedgerError: If the file cannot be read or a line does not hold; the message names the first.
    """
    with _named(path):
        return parse(path.read_text(encoding="utf-8").splitlines(), where=path.name)


def parse(lines: Iterable[str], *, where: str) -> Book:
    """Read the lines of a ledger and check their chain.

    Raises:
        LedgerError: If a line does not hold; the message names the first.
    """
    header: Json = {}
    entries: list[Entry] = []
    head = ""
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            if values.pop("previous") != head:
                raise VerificationError("it does not follow from the line before it")
            if number == 1:
                header = _header(values)
            else:
                entries.append(Entry.from_json(values))
        except (VerificationError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise LedgerError(f"{where} line {number} does not hold: {error}") from error
        head = hashlib.sha256(line.encode()).hexdigest()
    if not header:
        raise LedgerError(f"{where} is empty; a ledger begins with its data set and budget")
    return Book(**header, entries=entries, head=head)


def _header(values: Json) -> Json:
    if values.pop("format") != FORMAT:
        raise VerificationError(f"this version reads {FORMAT} only")
    if set(values) != {"dataset", "budget_epsilon", "budget_delta"}:
        raise VerificationError(f"a first line has other fields than {sorted(values)}")
    return values


def _check_budget(book: Book, events: Sequence[SumOfShares]) -> None:
    """Refuse events that do not fit; the view is that of the strongest adversary the shares are sized for."""
    already = [entry.event for entry in book.entries]
    together = [*already, *events]
    if not accounting.delta(together, epsilon=book.budget_epsilon, view="coalition") <= book.budget_delta:
        spent, asked = (
            accounting.epsilon(some, delta=book.budget_delta, view="coalition") for some in (already, together)
        )
        raise BudgetExceeded(spent=spent, asked=asked, budget=book.budget_epsilon, delta=book.budget_delta)


def _salted(salt: str, dataset: str) -> str:
    return hashlib.sha256(f"{salt}\n{dataset}".encode()).hexdigest()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Give errors of disk and database the ledger's name and a way out."""
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(
            f"{path} cannot be used: {error}. Nothing was charged and nothing may be drawn; "
            "check the disk, the folder's rights and whether another process holds the ledger"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path} cannot be used: {error}. Check the disk and the folder's rights") from error
