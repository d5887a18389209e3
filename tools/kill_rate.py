"""Remove each defence of the masked sum in turn and count how often the protocol audit notices.

    python -m tools.kill_rate

A mutant is killed if its row holds without it and is red with it, for a reason that the row states and not by a crash.
Exit code 1 if one survives.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from securefed.aggregation.audit import ROWS, Result, run_row
from tests.aggregation.audit.mutants import MUTANTS

BY_ID = {row.id: row for row in ROWS}


def is_killed(mutant: Callable[[pytest.MonkeyPatch], None]) -> tuple[bool, Result]:
    """Tell whether the audit notices a mutant, and what its row says of it."""
    row = BY_ID[MUTANTS[mutant]]
    healthy = run_row(row)
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        result = run_row(row)
    return healthy.holds and not result.holds and not result.happened.startswith("crashed"), result


def main() -> int:
    """Print a line for each mutant and the kill rate."""
    killed = 0
    for mutant in MUTANTS:
        dead, result = is_killed(mutant)
        killed += dead
        print(f"{'killed' if dead else 'ALIVE ':<7} {mutant.__name__:<26} {result.row.id}  {result.happened}")
    print(f"kill rate: {killed} of {len(MUTANTS)} mutants, {killed / len(MUTANTS):.0%}")
    return killed < len(MUTANTS)


if __name__ == "__main__":
    sys.exit(main())
