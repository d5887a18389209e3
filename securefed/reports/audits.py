"""What an audit found, beside what is claimed.

The file ``audit.json`` of a run's folder is what ``python -m benchmarks --only audit`` writes: for the pipeline as it
is and for the same with a deliberate bug, the epsilon that is claimed and the lower bounds that attacks achieved. A bug
that is not found says that the audit sees little; a bound above the claim on the pipeline as it is says that the claim
is wrong.
"""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from securefed.errors import VerificationError
from securefed.reports.record import Json, RunRecord

NAME = "audit.json"

AS_IS = "none"
"""Name of the pipeline without a bug."""


class Bounds(BaseModel):
    """One attack."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    claimed: float
    gaussian: float
    any: float


class Audit(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    delta: float
    confidence: float
    audits: dict[str, dict[str, Bounds]] = Field(min_length=1)


def audits(record: RunRecord) -> Json | None:
    """Return what an audit found; None if none was made.

    Raises:
        VerificationError: If the file holds something else.
    """
    if record.audit is None:
        return None
    try:
        audit = Audit.model_validate(record.audit)
    except ValidationError as error:
        raise VerificationError(f"it is not the result of an audit: {error.errors()[0]['msg']}", where=NAME) from None
    if AS_IS not in audit.audits:
        raise VerificationError(f"it holds no audit of the pipeline as it is, named {AS_IS!r}", where=NAME)
    rows = [_row(bug, method, found) for bug, methods in audit.audits.items() for method, found in methods.items()]
    content = json.dumps(record.audit, sort_keys=True)
    return {
        "delta": audit.delta,
        "confidence": audit.confidence,
        "rows": rows,
        "failed": [row for row in rows if not row["bug"] and not row["holds"]],
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
        "signed_by_the_server": NAME in record.files.files,
    }


def _row(bug: str, method: str, found: Bounds) -> Json:
    """Return one attack: without a bug it holds if no bound exceeds the claim, with one if a bound does."""
    bound = max(found.gaussian, found.any)
    exceeded = bound > found.claimed
    return {
        "bug": "" if bug == AS_IS else bug.replace("_", " "),
        "method": method.replace("_", " "),
        "claimed": found.claimed,
        "gaussian": found.gaussian,
        "any": found.any,
        "holds": exceeded == (bug != AS_IS),
    }
