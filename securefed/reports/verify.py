"""Check a run from its folder or bundle alone, without a network: chains, signatures, digests, and every figure again.

What holds is that the folder is one run, whole and unchanged since its server signed the inventory, that each client
signed its own ledger and its part of each masked sum, and that the report follows from them. What cannot be seen from a
folder: whether the roster's keys belong to whom they are said to belong to (compare ``roster_root`` with a root from
elsewhere, or pass it), whether a client's ledger was replaced by an older copy before it was exported, what the server
alone vouches for (accuracies, seconds, sizes of messages), and whether a result of an audit was taken out that had been
added after the run.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from securefed import inventory
from securefed.aggregation import identity
from securefed.errors import SecureFedError, VerificationError
from securefed.privacy.ledger import read_export
from securefed.reports import bundle, render
from securefed.reports.record import Json, RunRecord, read_file, read_object, read_roster, read_start
from securefed.reports.report import build, digest_of
from securefed.reports.sums import KEEPS_TRANSCRIPTS, Checked, OnSum, untold, verified_sums

TOLERANCE = 1e-9
"""Relative difference that recomputed floats may have on another machine."""

UNCHECKED = (
    "ledger/*.sqlite, journal/*.sqlite: they belong to the clients' owners and change after the run",
    "manifest.json, where there is one: it says which records a simulated client holds, and is for nobody else",
)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What was checked and found to hold.

    Attributes:
        report: The report, recomputed.
        checks: What holds, a sentence each.
        unchecked: What was not looked at, and why.
        roster_root: SHA-256 of the roster on which every signature rests.
        root_was_pinned: Whether it was compared with one that the caller knew.
    """

    report: Json = field(repr=False)
    checks: tuple[str, ...]
    unchecked: tuple[str, ...]
    roster_root: str
    root_was_pinned: bool


def verify(path: Path, *, roster_root: str | None = None, on_sum: OnSum = untold) -> Findings:
    """Check a run's folder, or a bundle of it.

    Args:
        path: A folder, or a file that :func:`securefed.reports.bundle.bundle` wrote.
        roster_root: The roster's root as it is known from elsewhere, in hexadecimal; without it every signature rests
            on the roster that came with the run.
        on_sum: Told of every transcript that is checked.

    Returns:
        What holds.

    Raises:
        ConfigError: If the folder is not a finished run with a report.
        LedgerError: If a ledger's chain does not hold.
        VerificationError: If anything differs; names the first file, and line where there is one, that does not hold.
    """
    if path.is_file():
        with tempfile.TemporaryDirectory() as folder:
            bundle.extract(path, Path(folder))
            return _verify(Path(folder), roster_root, on_sum)
    return _verify(path, roster_root, on_sum)


def _verify(folder: Path, pinned: str | None, on_sum: OnSum) -> Findings:
    _check_inventory(folder)
    record = RunRecord.read(folder)
    if pinned is not None and record.roster.root.hex() != pinned.strip().lower():
        raise VerificationError(
            f"its root is {record.roster.root.hex()}, not {pinned}: these are not the parties you know",
            where="roster.json",
        )
    if record.start.plan_digest != record.plan.digest:
        raise VerificationError(
            "it is not the plan of this run: its digest is not that of the metrics", where="plan.toml"
        )
    _check_adapter(folder, record)
    _check_charges(record)
    _check_signatures(folder, record)
    checked = Checked(verified_sums(record, on_sum), None)
    recomputed: Json = json.loads(render.to_json(build(record, checked)))
    _check_report(folder, recomputed)
    return Findings(
        report=recomputed,
        checks=tuple(_checks(record)),
        unchecked=UNCHECKED,
        roster_root=record.roster.root.hex(),
        root_was_pinned=pinned is not None,
    )


def _checks(record: RunRecord) -> list[str]:
    """Return what the checks that passed say."""
    found = [
        f"{len(record.files.files)} files are what the inventory lists, which the server signed",
        "plan and adapter are those of the run",
    ]
    if record.plan.private:
        charges = sum(len(book.entries) for book in record.ledgers.values())
        found.append(
            f"{len(record.ledgers)} ledgers with {charges} charges are whole, signed by their clients, as planned"
        )
    if record.plan.secure in KEEPS_TRANSCRIPTS:
        found.append(
            f"{len(record.transcripts)} transcripts are whole, signed by their parties, and follow one another"
        )
    return [*found, "every figure of the report follows from the run, and its text and pictures from the figures"]


def _check_inventory(folder: Path) -> None:
    """The server signed the inventory, and every file is what it lists."""
    listed = inventory.read(folder)
    try:
        server = read_roster(folder, read_start(folder)).server
    except SecureFedError:
        inventory.check(folder, listed)  # names the file, if it is one that was changed
        raise
    if not listed.is_signed_by(server):
        raise VerificationError(
            "the server of roster.json did not sign it: it was changed, or the roster was", where=inventory.NAME
        )
    inventory.check(folder, listed)


def _check_adapter(folder: Path, record: RunRecord) -> None:
    digest = hashlib.sha256(read_file(folder / "adapter.safetensors")).hexdigest()
    if digest != record.end.adapter_sha256:
        raise VerificationError("it is not the adapter of this run: its digest differs", where="adapter.safetensors")


def _check_charges(record: RunRecord) -> None:
    """Whatever is in a sum was charged, as the plan says; who dropped out may have paid."""
    plan, run = record.plan, record.start.run
    if not plan.private:
        return
    if set(record.ledgers) != set(plan.cohort):
        raise VerificationError("there is not exactly one ledger for each client of the plan", where="ledger")
    batches = plan.batches(run)
    for name, book in record.ledgers.items():
        where = f"ledger/{name}.jsonl"
        own = [(line, entry) for line, entry in enumerate(book.entries, 2) if entry.run == run]
        steps = Counter(entry.round for _, entry in own)
        if not _is_covered(record, name, steps) or [entry.round for _, entry in own] != sorted(steps.elements()):
            raise VerificationError(
                f"it does not hold {plan.steps} charges for each round of {plan.rounds} in whose sum the client is",
                where=where,
            )
        seen: Counter[int] = Counter()
        for line, entry in own:
            seen[entry.round] += 1
            expected = batches.event_of((entry.round - 1) * plan.steps + seen[entry.round])
            if entry.event != expected or entry.plan_digest != plan.digest:
                raise VerificationError("it was charged for something else than the plan", where=f"{where}:{line}")


def _is_covered(record: RunRecord, name: str, steps: Counter[int]) -> bool:
    """Tell whether a client was charged for all that is in sums, and for nothing that the plan does not have."""
    full = record.plan.steps
    paid = all(steps[line.number] == full for line in record.rounds if name in line.survivors)
    return paid and all(1 <= number <= record.plan.rounds and count <= full for number, count in steps.items())


def _check_signatures(folder: Path, record: RunRecord) -> None:
    """Every exported ledger was signed by the client that it belongs to."""
    for name in record.ledgers:
        public = record.roster.clients[name]

        def check(signature: bytes, message: bytes, *, public: bytes = public, name: str = name) -> None:
            identity.verify(public, message, signature, name=name)

        read_export(folder / "ledger" / f"{name}.jsonl", verify=check)


def _check_report(folder: Path, recomputed: Json) -> None:
    """The report on disk is the recomputed one, and its renderings are its own."""
    text = read_file(folder / "report.json").decode(errors="replace")
    stored = read_object(folder / "report.json")
    if stored.get("schema") != recomputed["schema"]:
        raise VerificationError(
            f"its schema is {stored.get('schema')!r}, this version of securefed makes {recomputed['schema']!r}; "
            "make the report again with 'securefed report', or verify with the version that made it",
            where="report.json",
        )
    if difference := _first_difference(stored, {**recomputed, "digest": digest_of(stored)}, "report"):
        raise VerificationError(
            f"it does not follow from the run: {difference}",
            where=_place("report.json", text, render.to_json(recomputed)),
        )
    for name, expected in render.renderings(stored).items():
        found = read_file(folder / name)
        if found != expected.encode():
            where = _place(name, found.decode(errors="replace"), expected)
            raise VerificationError("it is not what follows from the figures of report.json", where=where)


def _place(name: str, found: str, expected: str) -> str:
    """Return the first line in which two texts differ."""
    lines = zip(f"{found}\0".split("\n"), f"{expected}\0".split("\n"), strict=False)
    return next((f"{name}:{number}" for number, (a, b) in enumerate(lines, 1) if a != b), name)


def _first_difference(stored: object, recomputed: object, where: str) -> str | None:
    if isinstance(stored, dict) and isinstance(recomputed, dict):
        if set(stored) != set(recomputed):
            return f"{where} has other entries: {sorted(set(stored) ^ set(recomputed))}"
        pairs = [(key, stored[key], recomputed[key]) for key in recomputed]
    elif isinstance(stored, list) and isinstance(recomputed, list):
        if len(stored) != len(recomputed):
            return f"{where} has {len(stored)} items, {len(recomputed)} follow from the run"
        pairs = [(index, *both) for index, both in enumerate(zip(stored, recomputed, strict=True))]
    elif _equal(stored, recomputed):
        return None
    else:
        return f"{where} is {stored!r}, {recomputed!r} follows from the run"
    return next((d for key, a, b in pairs if (d := _first_difference(a, b, f"{where}.{key}"))), None)


def _equal(stored: object, recomputed: object) -> bool:
    if isinstance(stored, float) and isinstance(recomputed, float):
        return abs(stored - recomputed) <= TOLERANCE * max(abs(stored), abs(recomputed))
    return type(stored) is type(recomputed) and stored == recomputed
