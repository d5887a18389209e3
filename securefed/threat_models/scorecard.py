"""The scorecard: every row played, as plain values and as Markdown."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from securefed.threat_models import cohorts
from securefed.threat_models.game import Profile, Result, Row, Verdict, play_row
from securefed.threat_models.registry import ROWS

FORMAT = "securefed-scorecard/1"

COLUMNS = (
    "Row",
    "Adversary",
    "What it tries",
    "Defences",
    "Achieved (95 % interval)",
    "Chance",
    "Bound",
    "n",
    "Accuracy",
    "Verdict",
)


def scorecard(
    profile: Profile,
    *,
    seed: int = 0,
    rows: Sequence[Row] = ROWS,
    on_result: Callable[[Result], None] = lambda _result: None,
) -> dict[str, Any]:
    """Play rows and return what came out, as values that JSON can hold.

    Args:
        profile: ``smoke`` (few trials, under a minute) or ``full``.
        seed: Repeats every trial.
        rows: By default all.
        on_result: Told of every arm as it ends.
    """
    results = []
    for row in rows:
        for result in play_row(row, profile=profile, seed=seed):
            on_result(result)
            results.append(as_values(result))
    return {
        "format": FORMAT,
        "version": importlib.metadata.version("securefed"),
        "profile": profile,
        "seed": seed,
        "results": results,
    }


def as_values(result: Result) -> dict[str, Any]:
    """Return a result as plain values, with the accuracy that the arm's setting leaves."""
    row, arm, measured = result.row, result.arm, result.measured
    return {
        "row": row.id,
        "title": row.title,
        "adversary": row.adversary.id,
        "measure": row.measure,
        "defences": arm.defences,
        "claim": arm.claim,
        "value": measured.value,
        "low": measured.low,
        "high": measured.high,
        "chance": measured.chance,
        "bound": measured.bound,
        "limit": arm.limit,
        "n": measured.n,
        "note": measured.note,
        "accuracy": cohorts.utility(arm.setting),
        "seed": result.seed,
        "seconds": round(result.seconds, 2),
        "verdict": result.verdict.value,
    }


def exit_code(card: Mapping[str, Any]) -> int:
    """Return 0 if every claim held, 1 if one failed, 2 if a control did not succeed."""
    verdicts = {result["verdict"] for result in card["results"]}
    if Verdict.FAIL in verdicts:
        return 1
    return 2 if Verdict.INVALID in verdicts else 0


def markdown(card: Mapping[str, Any]) -> str:
    """Return the scorecard as a Markdown table."""
    lines = [
        f"Profile `{card['profile']}`, seed {card['seed']}, securefed {card['version']}.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|---" * len(COLUMNS) + "|",
    ]
    return "\n".join([*lines, *_table(card["results"])]) + "\n"


def _table(results: Iterable[Mapping[str, Any]]) -> list[str]:
    return [_line(result) for result in results]


def _line(result: Mapping[str, Any]) -> str:
    bound = "–" if result["bound"] is None else f"{result['bound']:.3f}"
    cells = (
        result["row"],
        result["adversary"],
        f"{result['title']}: {result['measure']}",
        result["defences"],
        f"{result['value']:.3f} ({result['low']:.3f} to {result['high']:.3f})",
        f"{result['chance']:.3f}",
        bound,
        result["n"],
        f"{result['accuracy']:.3f}",
        result["verdict"],
    )
    return "| " + " | ".join(map(str, cells)) + " |"
