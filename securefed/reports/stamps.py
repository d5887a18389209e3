"""What must stand in red at the top of every rendering, and cannot be lost on the way there."""

from __future__ import annotations

from securefed.privacy.book import SEEDED
from securefed.reports.assumptions import SHARED
from securefed.reports.record import Json, RunRecord
from securefed.reports.sums import Checked


def has_secret_noise(record: RunRecord) -> bool:
    """Tell whether nobody can repeat the noise and keys of this run, nor the noise of any other on the same data.

    The ledgers say so for noise, under their clients' signatures; for keys the run does.
    """
    entries = (entry for book in record.ledgers.values() for entry in book.entries)
    return record.start.secret_noise and all(entry.purpose != SEEDED for entry in entries)


def stamps(record: RunRecord, audit: Json | None, checked: Checked) -> list[str]:
    """Return the warnings, most serious first."""
    found = []
    if not record.plan.private:
        found.append("NOT PRIVATE: this run was made without differential privacy.")
    elif not has_secret_noise(record):
        found.append("NOT PRIVATE: keys or noise came from a seed; anybody who knows it can take the noise away.")
    found += _of_audit(audit)
    if checked.problem:
        found.append(f"NOT VERIFIED: the record of a secure sum does not hold: {checked.problem}")
    if record.plan.secure == "plain":
        found.append("NOT CONFIDENTIAL: updates travelled in the clear; the server saw each client's update.")
        if record.plan.setting in SHARED:
            found.append("NOT PRIVATE AGAINST THE SERVER: one client's share of the noise does not protect its update.")
    return found


def _of_audit(audit: Json | None) -> list[str]:
    return [
        f"AUDIT FAILED: an attack ({row['method']}) achieved at least epsilon {max(row['gaussian'], row['any']):.4g} "
        f"where {row['claimed']:.4g} is claimed; the claim is wrong."
        for row in (audit["failed"] if audit else ())
    ]
