"""A run directory to plain values: everything in a report is derived here, nothing is typed by hand.

Epsilon is computed from the exported ledgers, never read from a place where it was stored.
"""

from __future__ import annotations

import hashlib
import json
import math

from securefed.errors import VerificationError
from securefed.reports.assumptions import assumptions
from securefed.reports.audits import audits
from securefed.reports.mapping import nist, registry
from securefed.reports.mechanism import mechanism, numeric, randomness
from securefed.reports.record import Json, RunRecord
from securefed.reports.schema import SCHEMA, Report
from securefed.reports.spend import privacy
from securefed.reports.stamps import has_secret_noise, stamps
from securefed.reports.statements import definition, trust, unprotected
from securefed.reports.sums import Checked, secure_sum
from securefed.reports.words import plain_words

__all__ = ["Json", "RunRecord", "build", "digest_of"]


def build(record: RunRecord, checked: Checked | None = None) -> Json:
    """Return the report of a run as plain values, as :class:`securefed.reports.schema.Report` describes them.

    Args:
        record: What is on disk.
        checked: What came of checking its transcripts, if somebody has just done that.

    Raises:
        VerificationError: If a ledger holds events that this version cannot account for, an audit's result cannot be
            read, or the accountants contradict their theory.
    """
    plan, secret, audit = record.plan, has_secret_noise(record), audits(record)
    checked = checked or Checked.of(record)
    values = {
        "schema": SCHEMA,
        "warnings": stamps(record, audit, checked),
        "private": plan.private and secret and not (audit and audit["failed"]),
        **_privacy(record),
        **_task(record),
        "definition": definition(plan),
        "trust": trust(plan),
        "assumptions": assumptions(record, checked, secret=secret),
        "mechanism": mechanism(plan),
        "randomness": randomness(plan, secret=secret),
        "numeric": numeric(plan),
        "secure_sum": secure_sum(record, checked),
        "audit": audit,
        "unprotected": unprotected(plan),
        "seconds": record.end.seconds,
        "run": record.start.run,
        "plan_digest": plan.digest,
        "model": {"name": plan.model, "sha256": plan.model_digest},
        "adapter_sha256": record.end.adapter_sha256,
        "versions": dict(record.files.versions),
    }
    values |= {"plain_words": plain_words(values)}
    values |= {"nist_sp_800_226": nist(values), "deployments_registry": registry(values, plan)}
    Report.model_validate(values | {"digest": ""})
    return values | {"digest": digest_of(values)}


def digest_of(report: Json) -> str:
    """Return the SHA-256 of a report's values without their digest.

    Recomputed floats may differ in their last digits; the digest finds a change even there.
    """
    values = {name: value for name, value in report.items() if name != "digest"}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _privacy(record: RunRecord) -> Json:
    found = privacy(record)
    if found["epsilon"] is not None and not math.isfinite(found["epsilon"]):
        raise VerificationError(
            "a ledger holds charges of a mechanism that this version does not know: they cost infinity. Make the "
            "report with the version that charged them"
        )
    return found


def _task(record: RunRecord) -> Json:
    """Return what was trained on what, and how accurate it became."""
    plan = record.plan
    return {
        "accuracy": record.rounds[-1].accuracy,
        "zero_shot_accuracy": record.start.zero_shot_accuracy,
        "initial_accuracy": record.start.initial_accuracy,
        "accuracy_by_round": [line.accuracy for line in record.rounds],
        "unseen": _unseen(record),
        "data": plan.data,
        "partition": plan.partition,
        "setting": plan.setting,
        "secure": plan.secure,
        "unit": plan.unit,
        "clients": plan.clients,
        "rounds": plan.rounds,
        "local_steps": plan.local_steps,
        "sampling": {"kind": plan.sampling, "rate": plan.sampling_rate},
    }


def _unseen(record: RunRecord) -> Json | None:
    """Return how accurate it became on the domain that nobody trained on, if the plan leaves one out."""
    if record.end.unseen_accuracy is None:
        return None
    return {
        "domain": record.plan.left_out or "",
        "accuracy": record.end.unseen_accuracy,
        "zero_shot_accuracy": record.end.unseen_zero_shot_accuracy or 0.0,
    }
