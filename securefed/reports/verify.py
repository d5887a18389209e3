"""Check a run directory from itself alone: chains, digests, and every figure of the report recomputed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from securefed.aggregation import identity
from securefed.aggregation.identity import Roster
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.provision import load_roster
from securefed.aggregation.verification import verify_transcript
from securefed.errors import ConfigError, VerificationError
from securefed.privacy.ledger import read_export
from securefed.reports.report import Json, RunRecord, build, read_file

TOLERANCE = 1e-9
"""Relative difference that recomputed floats may have on another machine."""

MACHINE = ("versions",)
"""Entries of a report that speak of the machine it was made on."""


def verify(folder: Path) -> Json:
    """Recompute a run's report and compare it with the one on disk.

    Returns:
        The recomputed report.

    Raises:
        ConfigError: If the folder is not a finished run with a report.
        LedgerError: If a ledger's chain does not hold.
        VerificationError: If anything differs; the message names the first difference.
    """
    record = RunRecord.read(folder)
    if record.start["plan_digest"] != record.plan.digest:
        raise VerificationError(
            "plan.toml is not the plan of this run: its digest differs from the one in metrics.jsonl"
        )
    adapter = hashlib.sha256(read_file(folder / "adapter.safetensors")).hexdigest()
    if adapter != record.end["adapter_sha256"]:
        raise VerificationError("adapter.safetensors is not the adapter of this run: its digest differs")
    _check_charges(record)
    roster = _roster(folder, record)
    _check_signatures(folder, record, roster)
    _check_transcripts(folder, record, roster)
    recomputed: Json = json.loads(json.dumps(build(record)))
    difference = _first_difference(_read(folder / "report.json"), recomputed, "report")
    if difference:
        raise VerificationError(f"report.json does not follow from the run: {difference}")
    return recomputed


def _check_charges(record: RunRecord) -> None:
    """Every step of a private run was charged to every client, as the plan says."""
    plan, run = record.plan, record.start["run"]
    if not plan.private:
        return
    if set(record.ledgers) != set(plan.cohort):
        raise VerificationError("there is not exactly one ledger for each client of the plan")
    batches = plan.batches(run)
    expected = [batches.event_of(step) for step in range(1, plan.rounds * plan.steps + 1)]
    rounds = [number for number in range(1, plan.rounds + 1) for _ in range(plan.steps)]
    for name, book in record.ledgers.items():
        own = [entry for entry in book.entries if entry.run == run]
        if [entry.round for entry in own] != rounds:
            raise VerificationError(
                f"the ledger of {name} does not hold {plan.steps} charges for each of {plan.rounds} rounds"
            )
        if [entry.event for entry in own] != expected or any(entry.plan_digest != plan.digest for entry in own):
            raise VerificationError(f"the ledger of {name} was charged for something else than the plan")


def _roster(folder: Path, record: RunRecord) -> Roster:
    read_file(folder / "roster.json")
    try:
        return load_roster(folder / "roster.json", root=bytes.fromhex(record.start["roster_root"]))
    except ConfigError as error:
        raise VerificationError(f"roster.json is not the roster of this run: {error}") from error


def _check_signatures(folder: Path, record: RunRecord, roster: Roster) -> None:
    """Every exported ledger was signed by the client that it belongs to."""
    for name in record.ledgers:
        public = roster.clients[name]

        def check(signature: bytes, message: bytes, *, public: bytes = public, name: str = name) -> None:
            identity.verify(public, message, signature, name=name)

        read_export(folder / "ledger" / f"{name}.jsonl", verify=check)


def _check_transcripts(folder: Path, record: RunRecord, roster: Roster) -> None:
    """Every masked sum of the run was signed by its parties, for this plan, in an unbroken chain of rounds."""
    if record.plan.secure != "mask":
        return
    head = bytes(DIGEST)
    for line in record.rounds:
        name = f"transcript/{line['number']:04d}.jsonl"
        try:
            verified = verify_transcript(read_file(folder / name).decode().splitlines(), roster)
        except (VerificationError, UnicodeDecodeError) as error:
            raise VerificationError(f"{name}: {error}") from error
        context = verified.parameters.context
        if (context.round, context.plan.hex(), context.task) != (
            line["number"],
            record.plan.digest,
            record.start["run"],
        ):
            raise VerificationError(f"{name} is the record of another run, plan or round")
        if context.previous != head:
            raise VerificationError(f"{name} does not follow the record of the round before")
        if list(verified.survivors) != line["survivors"]:
            raise VerificationError(f"{name} and metrics.jsonl disagree on who survived")
        head = verified.head


def _read(path: Path) -> Json:
    content = read_file(path)
    try:
        report = json.loads(content)
    except ValueError as error:
        raise VerificationError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(report, dict):
        raise VerificationError(f"{path.name} is not a JSON object")
    return report


def _first_difference(stored: object, recomputed: object, where: str) -> str | None:
    if isinstance(stored, dict) and isinstance(recomputed, dict):
        if set(stored) != set(recomputed):
            return f"{where} has other entries: {sorted(set(stored) ^ set(recomputed))}"
        pairs = [(key, stored[key], recomputed[key]) for key in recomputed if key not in MACHINE]
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
