"""What the signed transcripts say of a run's secure sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.verification import Verified, verify_transcript
from securefed.errors import VerificationError
from securefed.reports.record import Json, RunRecord, transcript_name

KEEPS_TRANSCRIPTS = ("mask",)
"""Ways in which updates travel whose sums leave a record that every party signed."""

OnSum: TypeAlias = Callable[[int, int], None]
"""Is told how many transcripts are checked, and how many there are."""


def untold(done: int, total: int) -> None:
    """Tell nobody."""


def verified_sums(record: RunRecord, on_sum: OnSum = untold) -> list[Verified]:
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
        on_sum(len(found), len(record.transcripts))
    return found


@final
@dataclass(frozen=True, slots=True)
class Checked:
    """What came of checking a run's transcripts, which is done once for all that a report says of them.

    Attributes:
        sums: What they say; empty if they do not hold, or if there are none.
        problem: Why they do not hold; None if they do, or if there are none.
    """

    sums: Sequence[Verified]
    problem: str | None

    @classmethod
    def of(cls, record: RunRecord, on_sum: OnSum = untold) -> Checked:
        """Check the transcripts of a run."""
        try:
            return cls(verified_sums(record, on_sum), None)
        except VerificationError as error:
            return cls((), str(error))


def secure_sum(record: RunRecord, checked: Checked) -> Json:
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
        "transcript": _transcript(record, checked),
        "messages": len(record.messages),
        "bytes_up_per_client_and_round": sent["answer"] / pairs,
        "bytes_down_per_client_and_round": sent["request"] / pairs,
    }


def _transcript(record: RunRecord, checked: Checked) -> Json | None:
    """Return what the transcripts vouch for; None where sums keep none."""
    if record.plan.secure not in KEEPS_TRANSCRIPTS:
        return None
    if checked.problem:
        return {"verified": False, "problem": checked.problem, "root": None, "refusals": []}
    refusals = [
        {"round": number, "client": client, "reason": reason}
        for number, found in enumerate(checked.sums, 1)
        for client, reason in found.refusals
    ]
    return {"verified": True, "problem": None, "root": checked.sums[-1].head.hex(), "refusals": refusals}
