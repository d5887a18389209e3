"""What the signed transcripts say of a run's secure sums."""

from __future__ import annotations

from collections import Counter

from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.verification import Verified, verify_transcript
from securefed.errors import VerificationError
from securefed.reports.record import Json, RunRecord, transcript_name

KEEPS_TRANSCRIPTS = ("mask",)
"""Ways in which updates travel whose sums leave a record that every party signed."""


def verified_sums(record: RunRecord) -> list[Verified]:
    """Return what every transcript of a run says; none where sums keep no transcript.

    Each is signed by its parties, for this plan and run, in an unbroken chain of rounds, and names the survivors that
    the metrics name.

    Raises:
        VerificationError: Names the first file and line that does not hold.
    """
    head, found, dealt = bytes(DIGEST), [], None
    for number, lines in record.transcripts.items():
        where = transcript_name(number)
        verified = verify_transcript(lines, record.roster, where=where, dealt=dealt)
        context = verified.parameters.context
        if (context.round, context.plan.hex(), context.task) != (number, record.plan.digest, record.start.run):
            raise VerificationError("it is the record of another run, plan or round", where=f"{where}:1")
        if context.previous != head:
            raise VerificationError("it does not follow the record of the round before", where=f"{where}:1")
        if list(verified.survivors) != record.rounds[number - 1].survivors:
            raise VerificationError("it and metrics.jsonl disagree on who survived", where=where)
        head, dealt = verified.head, verified.dealt
        found.append(verified)
    return found


def problem_of_sums(record: RunRecord) -> str | None:
    """Return why the transcripts do not hold; None if they do, or if there are none."""
    try:
        verified_sums(record)
    except VerificationError as error:
        return str(error)
    return None


def secure_sum(record: RunRecord) -> Json:
    """Return who was in each sum, what vouches for that, and what travelled."""
    cohort = record.plan.cohort
    survivors = [line.survivors for line in record.rounds]
    sent = Counter[str]()
    for line in record.messages:
        sent[line.direction] += line.bytes
    pairs = record.plan.clients * len(record.rounds)
    return {
        "kind": record.plan.secure,
        "cohort": record.plan.clients,
        "threshold": record.plan.threshold,
        "survivors_by_round": survivors,
        "dropped_by_round": [[name for name in cohort if name not in set(names)] for names in survivors],
        "roster_root": record.roster.root.hex(),
        "transcript": _transcript(record),
        "messages": len(record.messages),
        "bytes_up_per_client_and_round": sent["answer"] / pairs,
        "bytes_down_per_client_and_round": sent["request"] / pairs,
    }


def _transcript(record: RunRecord) -> Json | None:
    """Return what the transcripts vouch for; None where sums keep none."""
    if record.plan.secure not in KEEPS_TRANSCRIPTS:
        return None
    if problem := problem_of_sums(record):
        return {"verified": False, "problem": problem, "root": None, "refusals": []}
    sums = verified_sums(record)
    refusals = [
        {"round": number, "client": client, "reason": reason}
        for number, found in enumerate(sums, 1)
        for client, reason in found.refusals
    ]
    return {"verified": True, "problem": None, "root": sums[-1].head.hex(), "refusals": refusals}
