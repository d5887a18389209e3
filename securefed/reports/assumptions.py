"""What the guarantee rests on: enforced by the code, attested by somebody, or violated; each with its evidence."""

from __future__ import annotations

from typing import Literal, TypeAlias

from securefed.plan import Plan
from securefed.reports.record import Json, RunRecord
from securefed.reports.sums import KEEPS_TRANSCRIPTS, Checked

Status: TypeAlias = Literal["enforced", "attested", "violated"]

SHARED = ("distributed", "client-level")
"""Settings whose noise is a sum of shares, so that one client's message is not private by itself."""

CLIPPED = {
    "record": "every record's gradient is clipped before it is added",
    "client": "every client's whole update is clipped before it is added",
}

SAMPLED = {
    "poisson": "every step is about a Poisson sample: each record by a coin of its own, which nobody else sees",
    "shuffled": "every pass deals each record to one part, without looking at it; no amplification is claimed",
}


def assumptions(record: RunRecord, checked: Checked, *, secret: bool) -> list[Json]:
    """Return what the guarantee of a private run rests on.

    Args:
        record: The run.
        checked: What came of checking its transcripts.
        secret: Whether nobody can repeat its noise and keys.
    """
    if not record.plan.private:
        return []
    found = [*_mechanism(record.plan), *_charges(record, secret=secret), *_data(record.plan)]
    if record.plan.setting in SHARED:
        found += _sums(record, checked)
    return found


def _item(statement: str, status: Status, evidence: str) -> Json:
    return {"assumption": statement, "status": status, "evidence": evidence}


def _mechanism(plan: Plan) -> list[Json]:
    found = [
        _item(CLIPPED[plan.unit], "enforced", f"clip_norm {plan.clip_norm:.6g}"),
        _item("initial parameters do not depend on records", "enforced", "their provenance is checked before training"),
        _item(
            "a sum cannot leave the ring",
            "enforced",
            f"{plan.bits} bits hold {plan.clients} clamped summands and their noise, or there is no plan",
        ),
    ]
    if plan.sampling != "full":
        found.append(_item(SAMPLED[plan.sampling], "enforced", "batches carry the event that is charged"))
    return found


def _charges(record: RunRecord, *, secret: bool) -> list[Json]:
    charges = sum(len(book.entries) for book in record.ledgers.values())
    return [
        _item(
            "noise comes from the operating system's generator",
            "enforced" if secret else "violated",
            "no seed was given; each charge says so, under its client's signature"
            if secret
            else "noise or keys came from a seed",
        ),
        _item(
            "each charge was durable before its noise was drawn",
            "enforced",
            f"{charges} charges in {len(record.ledgers)} hash-chained ledgers, each signed by its client",
        ),
        _item(
            "no ledger was replaced by an older copy of itself",
            "attested",
            "a mirror elsewhere shows it, or a ledger's last digest that somebody else keeps",
        ),
    ]


def _data(plan: Plan) -> list[Json]:
    found = [
        _item(
            "the normaliser is a public number",
            "attested",
            f"{plan.normaliser:g} {plan.unit}s a step are stated in the plan and assumed to be public",
        ),
        _item("hyper-parameters were not chosen on these records", "attested", "ledgers show what was tried"),
        _item("clients run this package unchanged", "attested", "versions are below; nobody sees what a client runs"),
    ]
    if plan.unit == "record":
        found.append(_item("one record belongs to one client", "attested", "the partition of the data"))
    return found


def _sums(record: RunRecord, checked: Checked) -> list[Json]:
    plan = record.plan
    # A lost round has no survivors and no sum.
    least = min((len(line.survivors) for line in record.rounds if line.survivors), default=0)
    found = [
        _item(
            f"at least {plan.threshold} clients are in every sum",
            "enforced" if least >= plan.threshold else "violated",
            f"the smallest sum had {least}",
        ),
        _item(
            f"at most {plan.max_colluders} clients reveal their share of the noise, the others draw it honestly",
            "attested",
            "cannot be seen from a run",
        ),
    ]
    if plan.secure == "mask":
        found.append(_item("the server follows the secure sum's protocol", "attested", "see SECURITY.md"))
    if plan.secure in ("ckks", "bfv"):
        found.append(_item("server and decryptor do not work together", "attested", "see SECURITY.md"))
    return [*found, *_records_of_sums(record, checked)]


def _records_of_sums(record: RunRecord, checked: Checked) -> list[Json]:
    if record.plan.secure not in KEEPS_TRANSCRIPTS:
        return []
    return [
        _item(
            "every client saw the same sum with the same survivors",
            "violated" if checked.problem else "enforced",
            checked.problem or f"{len(record.transcripts)} transcripts, signed by their parties, an unbroken chain",
        ),
        _item(
            "the keys of the roster belong to whom they are said to belong to",
            "attested",
            f"compare the roster's root {record.roster.root.hex()[:16]}.. with one from elsewhere",
        ),
    ]
