"""A ledger's content: lines, each chained to the one before, and what can be checked from the lines alone."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, final

from securefed.errors import BudgetExceeded, ConfigError, LedgerError, VerificationError
from securefed.privacy.events import Event
from securefed.privacy.filters import Filter, filter_of
from securefed.privacy.reading import read_event

Json: TypeAlias = dict[str, Any]

FORMAT = "securefed-ledger/1"
HEADER = frozenset({"dataset", "budget_epsilon", "budget_delta", "filter"})

SEEDED = "train with seeded noise"
"""Purpose of a charge whose noise can be repeated: what was charged protects nothing."""


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
    event: Event

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
            return cls(**{**values, "event": read_event(values["event"])})
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
        filter: Name of the filter that refuses, fixed with the budget; see :mod:`securefed.privacy.filters`.
        entries: All charges.
        heads: SHA-256 of each line, the first line included.
        counts: How often each event was charged.
    """

    dataset: str
    budget_epsilon: float
    budget_delta: float
    filter: str
    entries: Sequence[Entry] = field(repr=False)
    heads: Sequence[str] = field(repr=False)
    counts: Counter[Event] = field(repr=False)

    @property
    def head(self) -> str:
        """SHA-256 of the last line: whoever keeps it can tell later whether a line is missing."""
        return self.heads[-1]

    @property
    def budget(self) -> Filter:
        """The filter with its budget."""
        return filter_of(self.filter, epsilon=self.budget_epsilon, delta=self.budget_delta)

    @property
    def events(self) -> list[Event]:
        """What was charged."""
        return [entry.event for entry in self.entries]

    def followed_by(self, entry: Entry, line: str) -> Book:
        """Return the content with one more charge, whose line this is."""
        entries, heads = (*self.entries, entry), (*self.heads, digest(line))
        return replace(self, entries=entries, heads=heads, counts=_counted(self.counts, [entry.event]))

    def check_extends(self, count: int, head: str) -> None:
        """Check that this is a later state of a ledger that once had ``count`` lines and this head.

        Raises:
            LedgerError: If it is an older copy, or another ledger.
        """
        if len(self.heads) < count:
            raise LedgerError(
                f"the ledger has {len(self.heads)} lines where {count} were seen before: it was rolled back to an "
                "older copy, or its end was cut off. Restore the newer file; without it, the data has no budget left"
            )
        if self.heads[count - 1] != head:
            raise LedgerError(
                f"line {count} of the ledger is not the one that was seen before: it is another ledger, or it went on "
                "from an older copy. Restore the former file; without it, the data has no budget left"
            )


def line_of(previous: str, values: Json) -> str:
    """Return the line that follows a line of this SHA-256; empty for the first."""
    return json.dumps({"previous": previous, **values}, sort_keys=True, separators=(",", ":"))


def digest(line: str) -> str:
    """Return the SHA-256 by which the next line names this one."""
    return hashlib.sha256(line.encode()).hexdigest()


def parse(lines: Iterable[str], *, where: str) -> Book:
    """Read the lines of a ledger and check their chain.

    Raises:
        LedgerError: If a line does not hold; the message names the first.
    """
    header: Json = {}
    entries: list[Entry] = []
    heads = [""]
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            if values.pop("previous") != heads[-1]:
                raise VerificationError("it does not follow from the line before it")
            if number == 1:
                header = _header(values)
            else:
                entries.append(Entry.from_json(values))
        except (VerificationError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise LedgerError(f"{where} line {number} does not hold: {error}") from error
        heads.append(digest(line))
    if not header:
        raise LedgerError(f"{where} is empty; a ledger begins with its data set and budget")
    counts = Counter(entry.event for entry in entries)
    return Book(**header, entries=tuple(entries), heads=tuple(heads[1:]), counts=counts)


def read_export(path: Path, *, verify: Callable[[bytes, bytes], None] | None = None) -> Book:
    """Read an exported ledger, check its chain, and its signature if asked to.

    Args:
        path: The file.
        verify: Called with signature and message; raises whatever it likes if they do not match, such as the
            ``verify`` of an Ed25519 public key. Without it a signature is not looked at.

    Raises:
        LedgerError: If the file cannot be read or a line does not hold; the message names the first.
        VerificationError: If there is no signature, or it is not of these lines.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path} cannot be read: {error}") from error
    signature = _signature(lines[-1]) if lines else None
    book = parse(lines if signature is None else lines[:-1], where=path.name)
    if verify is not None:
        _check_signature(signature, book, verify, path.name)
    return book


def signed_bytes(book: Book) -> bytes:
    """Return what a signature of an export signs: how many lines there are, and the last one's digest."""
    return f"{FORMAT} export\n{len(book.heads)}\n{book.head}".encode()


def signature_line(signature: bytes) -> str:
    """Return the last line of a signed export."""
    return json.dumps({"signature": signature.hex()})


def check_budget(book: Book, events: Sequence[Event]) -> None:
    """Refuse events that do not fit, in the view of the strongest adversary that the shares are sized for.

    Raises:
        BudgetExceeded: If they would overspend.
        LedgerError: If the ledger cannot hold events of this kind.
    """
    budget = book.budget
    for event in set(events):
        budget.accepts(event)
    together = _counted(book.counts, events)
    if not budget.admits(together):
        raise BudgetExceeded(
            spent=budget.spent(book.counts),
            asked=budget.spent(together),
            budget=book.budget_epsilon,
            delta=book.budget_delta,
        )


def check_header(*, budget_epsilon: float, budget_delta: float, filter: str) -> None:
    """Refuse a budget that limits nothing.

    Raises:
        ConfigError: If a value is out of bounds.
    """
    if not (budget_epsilon > 0 and math.isfinite(budget_epsilon) and 0 < budget_delta < 1):
        raise ConfigError(
            f"the budget is ({budget_epsilon}, {budget_delta}); epsilon must be positive, delta in (0, 1)"
        )
    filter_of(filter, epsilon=budget_epsilon, delta=budget_delta)


def _counted(counts: Counter[Event], events: Iterable[Event]) -> Counter[Event]:
    together = counts.copy()
    together.update(events)
    return together


def _header(values: Json) -> Json:
    if values.pop("format") != FORMAT:
        raise VerificationError(f"this version reads {FORMAT} only")
    if set(values) != HEADER:
        raise VerificationError(f"a first line has other fields than {sorted(values)}")
    try:
        check_header(**{name: values[name] for name in HEADER - {"dataset"}})
    except ConfigError as error:
        raise VerificationError(str(error)) from error
    return values


def _signature(line: str) -> str | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values["signature"] if isinstance(values, dict) and set(values) == {"signature"} else None


def _check_signature(signature: str | None, book: Book, verify: Callable[[bytes, bytes], None], where: str) -> None:
    if signature is None:
        raise VerificationError(f"{where} carries no signature; ask its owner for a signed export")
    try:
        verify(bytes.fromhex(signature), signed_bytes(book))
    except Exception as error:
        raise VerificationError(f"the signature of {where} is not of these lines by this key") from error
