"""Two scorecards, one after the other: what got better, what got worse, what is new or gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

from securefed.threat_models.game import Verdict

Change: TypeAlias = Literal["worse", "better", "gone", "new", "moved"]

BAD = frozenset({Verdict.FAIL, Verdict.INVALID})


@final
@dataclass(frozen=True, slots=True)
class Difference:
    """One arm that is not what it was.

    Attributes:
        row: The row.
        defences: The arm.
        change: ``worse`` or ``better`` (its verdict, or a claim that is made no longer or only now), ``gone``, ``new``,
            or ``moved`` (the same verdict, but intervals that do not meet).
        before: Verdict and value; empty for a new arm.
        after: Likewise; empty for one that is gone.
    """

    row: str
    defences: str
    change: Change
    before: str
    after: str


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Compare scorecards arm by arm, in the order of the old one; new arms follow."""
    before, after = (dict(_arms(card)) for card in (old, new))
    found = []
    for key in {**before, **after}:
        change = _change(before.get(key), after.get(key))
        if change is not None:
            found.append(Difference(*key, change, _text(before.get(key)), _text(after.get(key))))
    return found


def is_worse(found: list[Difference]) -> bool:
    """Tell whether something is protected less, or looked at no longer."""
    return any(each.change in ("worse", "gone") for each in found)


def _arms(card: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    for result in card["results"]:
        yield (result["row"], result["defences"]), result


def _change(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Change | None:
    if before is None or after is None:
        return "new" if before is None else "gone"
    ranks = [_rank(each["verdict"]) for each in (before, after)]
    if ranks[0] != ranks[1]:
        return "better" if ranks[1] > ranks[0] else "worse"
    apart = before["high"] < after["low"] or after["high"] < before["low"]
    return "moved" if apart else None


def _rank(verdict: str) -> int:
    """Order verdicts: what failed, what is not claimed, what holds."""
    return 0 if verdict in BAD else 1 if verdict == Verdict.NOT_CLAIMED else 2


def _text(result: Mapping[str, Any] | None) -> str:
    return "" if result is None else f"{result['verdict']} {result['value']:.3f}"
