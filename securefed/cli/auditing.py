"""The audit before a run: a mechanism that leaks more than it claims does not get to touch data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from securefed.cli.screen import progress, write_new
from securefed.errors import VerificationError

if TYPE_CHECKING:
    from securefed.plan import Plan


@contextmanager
def audited(plan: Plan, out: Path, *, wanted: bool) -> Iterator[Path | None]:
    """Audit a plan's mechanism, and lend the file of the result; None if nobody wants one.

    Raises:
        VerificationError: If an attack achieved more than is claimed. The result is kept beside the run's folder, and
            nothing has been charged.
    """
    if not wanted:
        yield None
        return
    found = _played(plan)
    text = json.dumps(found, indent=1) + "\n"
    if failed := _failed(found):
        kept = out.parent / f"{out.name}.audit.json"
        write_new(kept, text)
        raise VerificationError(
            f"an attack achieved epsilon {failed['bound']:.4f} where {failed['claimed']:.4f} is claimed, with "
            f"{100 * found['confidence']:g} % confidence. Nothing was run or charged; a run that keeps this result "
            f"says at its top that it is not private: --audit-result {kept}",
            where=str(kept),
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audit.json"
        file.write_text(text, encoding="utf-8")
        yield file


def _played(plan: Plan) -> Any:
    from securefed.rng import secure
    from securefed.threat_models import plan_audit

    with progress() as bar:
        task = bar.add_task("audit", total=len(plan_audit.ARMS) * plan_audit.TRIALS)
        return plan_audit.audit(plan, rng=secure(), trials=plan_audit.TRIALS, on_trial=lambda: bar.advance(task))


def _failed(found: Any) -> dict[str, float] | None:
    """Return the first attack on the mechanism as it is whose bound exceeds the claim."""
    rows = ({"claimed": row["claimed"], "bound": max(row["gaussian"], row["any"])} for row in _as_it_is(found))
    return next((row for row in rows if row["bound"] > row["claimed"]), None)


def _as_it_is(found: Any) -> list[dict[str, float]]:
    return list(found["audits"]["none"].values())
