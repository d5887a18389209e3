"""Weaken the package in every way that the tests know, and count how often a row of the scorecard or a move notices.

    python -m tools.kill_rate
    python -m tools.kill_rate --out benchmarks/results/kill_rate.json

A move of the protocol audit kills a mutant if it holds without it and deviates with it, and not by a crash. A row of
the scorecard kills one if its control still succeeds and a claim fails; that the row holds without it is what the
published scorecard shows. Exit code 1 if one survives.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias, final

import pytest

from securefed.aggregation.audit import ROWS, Result, run_row
from securefed.threat_models.game import Result as Played
from securefed.threat_models.game import Row, Verdict, play_row
from securefed.threat_models.registry import row_of
from tests.aggregation.audit import mutants as moves
from tests.threat_models import mutants as games

BY_ID = {row.id: row for row in ROWS}

Mutant: TypeAlias = Callable[[pytest.MonkeyPatch], None]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Killed:
    """A mutant, and whether it was noticed.

    Attributes:
        mutant: Its name.
        weakened: What it does.
        by: The row or move that has to notice it.
        killed: Whether it did.
        seen: What happened.
    """

    mutant: str
    weakened: str
    by: str
    killed: bool
    seen: str


def is_killed(mutant: Mutant) -> tuple[bool, Result]:
    """Tell whether the audit notices a mutant, and what its move says of it."""
    row = BY_ID[moves.MUTANTS[mutant]]
    healthy = run_row(row)
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        result = run_row(row)
    return healthy.holds and not result.holds and not result.happened.startswith("crashed"), result


def is_killed_by(mutant: Mutant, row: Row) -> tuple[bool, list[Played]]:
    """Tell whether a row notices a mutant, and what was played: claims without slow encryption, up to the first red."""
    quick = {"plain", "mask", row.arms[0].secure}
    played = replace(row, arms=tuple(arm for arm in row.arms if arm.claim != "none" and arm.secure in quick))
    results = []
    games.forget()
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        for result in play_row(played, profile="smoke", seed=0):
            results.append(result)
            if result.verdict is Verdict.FAIL:
                break
    games.forget()
    return results[0].verdict is Verdict.CONTROL and results[-1].verdict is Verdict.FAIL, results


def all_of_them() -> Iterator[Killed]:
    """Try every mutant on every row or move that has to notice it."""
    for mutant in moves.MUTANTS:
        killed, result = is_killed(mutant)
        yield _killed(mutant, result.row.id, killed, result.happened)
    for mutant, names in games.MUTANTS.items():
        for name in names:
            killed, results = is_killed_by(mutant, row_of(name))
            last = results[-1]
            yield _killed(mutant, name, killed, f"{last.arm.defences}: {last.verdict} at {last.measured.value:.3f}")


def _killed(mutant: Mutant, by: str, killed: bool, seen: str) -> Killed:
    weakened = (inspect.getdoc(mutant) or "").partition("\n")[0]
    return Killed(mutant=mutant.__name__, weakened=weakened, by=by, killed=killed, seen=seen)


def publish(out: Path | None) -> int:
    """Print a line for each mutant and the kill rate, write the figures, and return how many survived."""
    found = []
    for each in all_of_them():
        print(f"{'killed' if each.killed else 'ALIVE ':<7} {each.mutant:<30} {each.by:<16} {each.seen}", flush=True)
        found.append(each)
    count = sum(each.killed for each in found)
    print(f"kill rate: {count} of {len(found)}, {count / len(found):.0%}")
    if out is not None:
        figures = {"of": len(found), "killed": count, "mutants": [asdict(each) for each in found]}
        out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return len(found) - count


def main() -> int:
    """Count, and tell by the exit code whether all were noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="File for the figures as JSON.")
    return int(publish(parser.parse_args().out) > 0)


if __name__ == "__main__":
    sys.exit(main())
