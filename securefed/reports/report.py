"""A run directory to plain values: everything in a report is derived here, nothing is typed by hand.

Epsilon is computed from the exported ledgers, never read from a place where it was stored.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Literal, TypeAlias

from securefed.plan import Plan
from securefed.privacy.ledger import Book
from securefed.reports.bounds import bounds, epsilon
from securefed.reports.record import Json, RunRecord
from securefed.reports.statements import definition, trust, unprotected
from securefed.reports.sums import secure_sum

__all__ = ["Json", "RunRecord", "build"]

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


def build(record: RunRecord) -> Json:
    """Return the report of a run as plain values, ready for JSON."""
    plan = record.plan
    values = {
        "schema": "securefed-report/2",
        "warnings": warnings(record),
        **privacy(record),
        "accuracy": record.rounds[-1].accuracy,
        "zero_shot_accuracy": record.start.zero_shot_accuracy,
        "initial_accuracy": record.start.initial_accuracy,
        "accuracy_by_round": [line.accuracy for line in record.rounds],
        "data": plan.data,
        "partition": plan.partition,
        "setting": plan.setting,
        "secure": plan.secure,
        "unit": plan.unit,
        "clients": plan.clients,
        "rounds": plan.rounds,
        "local_steps": plan.local_steps,
        "sampling": {"kind": plan.sampling, "rate": plan.sampling_rate},
        "definition": definition(plan),
        "trust": trust(plan),
        "assumptions": assumptions(record),
        "mechanism": mechanism(plan),
        "secure_sum": secure_sum(record),
        "unprotected": unprotected(plan),
        "seconds": record.end.seconds,
        "plan_digest": plan.digest,
        "model": {"name": plan.model, "sha256": plan.model_digest},
        "adapter_sha256": record.end.adapter_sha256,
        "versions": dict(record.files.versions),
    }
    return values | {"digest": digest_of(values)}


def digest_of(report: Json) -> str:
    """Return the SHA-256 of a report's values without their digest.

    Recomputed floats may differ in their last digits; the digest finds a change even there.
    """
    values = {name: value for name, value in report.items() if name != "digest"}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def warnings(record: RunRecord) -> list[str]:
    """Return what must stand at the top of every rendering, most serious first."""
    found = []
    if not record.plan.private:
        found.append("NOT PRIVATE: this run was made without differential privacy.")
    elif not record.start.secret_noise:
        found.append("NOT PRIVATE: keys and noise came from a seed; anybody who knows it can take the noise away.")
    if record.plan.secure == "plain":
        found.append("NOT CONFIDENTIAL: updates travelled in the clear; the server saw each client's update.")
        if record.plan.setting in SHARED:
            found.append("NOT PRIVATE AGAINST THE SERVER: one client's share of the noise does not protect its update.")
    return found


def privacy(record: RunRecord) -> Json:
    """Return epsilon in both views, from the ledgers, and what each round and client spent."""
    plan = record.plan
    if not plan.private:
        return {"private": False, "epsilon": None, "delta": plan.delta, "spend": None}
    clients = {name: client_spend(book, plan) for name, book in record.ledgers.items()}
    worst = max(clients.values(), key=lambda spend: spend["epsilon"])
    own = [entry for entry in next(iter(record.ledgers.values())).entries if entry.run == record.start.run]
    rounds = [tuple(entry.event for entry in own if entry.round <= number) for number in range(1, plan.rounds + 1)]
    book = record.ledgers[next(name for name, spend in clients.items() if spend is worst)]
    return {
        "private": bool(record.start.secret_noise),
        "epsilon": worst["epsilon"],
        "delta": plan.delta,
        "epsilon_target": plan.epsilon,
        "epsilon_server_view": worst["epsilon_server_view"],
        "epsilon_this_run": epsilon(rounds[-1], plan.delta, "coalition"),
        "bounds": bounds(book.events, delta=plan.delta),
        "spend": {
            "per_round": [epsilon(events, plan.delta, "coalition") for events in rounds],
            "per_client": clients,
        },
    }


def client_spend(book: Book, plan: Plan) -> Json:
    """Return what one client's data has spent over all runs, and what is left of its budget."""
    events = tuple(book.events)
    spent = epsilon(events, plan.delta, "coalition")
    return {
        "epsilon": spent,
        "epsilon_server_view": epsilon(events, plan.delta, "server"),
        "filter": book.filter,
        "budget": book.budget_epsilon,
        "left": max(book.budget_epsilon - spent, 0.0),
        "charges": len(events),
        "runs": len({entry.run for entry in book.entries}),
        "head": book.head,
    }


def mechanism(plan: Plan) -> Json:
    """Return the numbers that noise and ring are made of."""
    shown: Json = {
        "clip_norm": plan.clip_norm,
        "step": plan.encoding.step,
        "bits": plan.bits,
        "dim": plan.dim,
        "expected_records": plan.expected_records,
    }
    if plan.private:
        event = plan.event
        shown |= {
            "name": event.mechanism,
            "noise_multiplier": plan.noise_multiplier,
            "sensitivity_ring_units": event.sensitivity,
            "share_stddev_ring_units": event.share_stddev,
            "shares": event.shares,
            "max_dropouts": event.max_dropouts,
            "max_colluders": event.max_colluders,
            "sum_stddev": plan.share_stddev * math.sqrt(plan.clients) * plan.encoding.step,
        }
    return shown


def assumptions(record: RunRecord) -> list[Json]:
    """Return what the guarantee rests on, and whether the code enforces it or somebody has to vouch for it."""
    plan = record.plan
    if not plan.private:
        return []

    def item(statement: str, status: Status, evidence: str) -> Json:
        return {"assumption": statement, "status": status, "evidence": evidence}

    least = min(len(line.survivors) for line in record.rounds)
    secret = bool(record.start.secret_noise)
    found = [
        item(CLIPPED[plan.unit], "enforced", f"clip_norm {plan.clip_norm:.6g}"),
        item("initial parameters do not depend on records", "enforced", "keys come from generated images"),
        item(
            "noise comes from the operating system's generator",
            "enforced" if secret else "violated",
            "no seed was given" if secret else "the run was given a seed for its noise",
        ),
        item("each charge was durable before its noise was drawn", "enforced", "hash-chained ledger"),
        item(
            "the normaliser is a public number",
            "attested",
            f"{plan.normaliser:g} {plan.unit}s a step are stated in the plan and assumed to be public",
        ),
    ]
    if plan.unit == "record":
        found.append(item("one record belongs to one client", "attested", "the partition of the data"))
    if plan.sampling != "full":
        found.append(item(SAMPLED[plan.sampling], "enforced", "batches carry the event that is charged"))
    if plan.setting in SHARED:
        found += [
            item(
                f"at least {plan.threshold} clients are in every sum",
                "enforced" if least >= plan.threshold else "violated",
                f"the smallest sum had {least}",
            ),
            item(
                f"at most {plan.max_colluders} clients reveal their share of the noise, the others draw it honestly",
                "attested",
                "cannot be seen from a run",
            ),
        ]
    if plan.setting in SHARED and plan.secure == "mask":
        found.append(item("the server follows the secure sum's protocol", "attested", "see SECURITY.md"))
    if plan.setting in SHARED and plan.secure in ("ckks", "bfv"):
        found.append(item("server and decryptor do not work together", "attested", "see SECURITY.md"))
    return found
