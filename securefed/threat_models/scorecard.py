"""The scorecard: every row played under every seed, as plain values that JSON can hold."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from securefed.errors import ConfigError
from securefed.threat_models import cohorts
from securefed.threat_models.game import Arm, Measured, Profile, Row, Verdict, judge
from securefed.threat_models.parts import Part, PlayedPart, keep, kept, play_parts, source_digest
from securefed.threat_models.pooling import pooled
from securefed.threat_models.registry import ROWS, row_of

Json: TypeAlias = dict[str, Any]

FORMAT = "securefed-scorecard/2"

SEEDS: Mapping[Profile, int] = {"smoke": 1, "full": 5}
"""How many seeds a profile takes, one after another from the first."""

EVERY = tuple(row.id for row in ROWS)


def scorecard(
    profile: Profile,
    *,
    seed: int = 0,
    rows: Sequence[str] = EVERY,
    processes: int = 1,
    parts: Path | None = None,
    on_part: Callable[[PlayedPart], None] = lambda _part: None,
) -> Json:
    """Play rows and return what came out.

    Args:
        profile: ``smoke`` (one seed and few trials, under a minute) or ``full`` (five seeds and many).
        seed: The first; together with the profile it repeats every trial.
        rows: Names, by default all.
        processes: How many play at the same time.
        parts: File in which every part is kept once it is played, and from which an interrupted scorecard goes on.
        on_part: Told of every part that is there.
    """
    seeds = range(seed, seed + SEEDS[profile])
    wanted = [Part(row, profile, each) for row in rows for each in seeds]
    known = kept(parts) if parts else {}
    found = {part: known[part] for part in wanted if part in known}
    for played in found.values():
        on_part(played)
    for played in play_parts([part for part in wanted if part not in found], processes=processes):
        if parts:
            keep(parts, played)
        found[played.part] = played
        on_part(played)
    return {
        "format": FORMAT,
        "version": importlib.metadata.version("securefed"),
        "source": source_digest(),
        "profile": profile,
        "seeds": list(seeds),
        "results": [
            values
            for row in rows
            for values in row_values(row_of(row), [found[Part(row, profile, each)] for each in seeds])
        ],
    }


def row_values(row: Row, played: Sequence[PlayedPart]) -> Iterator[Json]:
    """Judge the arms of a row over all seeds; without a control that succeeds, no claim is judged."""
    controlled = True
    for place, arm in enumerate(row.arms):
        measured = pooled([each.arms[place].measured for each in played])
        verdict = judge(arm, measured, controlled=controlled)
        controlled &= verdict is not Verdict.INVALID
        yield {
            **_about(row, arm),
            **_shown(measured),
            "limit": arm.limit,
            "at_most": at_most(arm, measured),
            "accuracy": cohorts.utility(arm.setting),
            "seconds": round(sum(each.arms[place].seconds for each in played), 2),
            "verdict": verdict.value,
            "seeds": [
                {"seed": each.part.seed, **_shown(each.arms[place].measured), "seconds": each.arms[place].seconds}
                for each in played
            ],
        }


def _about(row: Row, arm: Arm) -> Json:
    return {
        "row": row.id,
        "title": row.title,
        "adversary": row.adversary.id,
        "measure": row.measure,
        "defences": arm.defences,
        "setting": arm.setting,
        "secure": arm.secure,
        "claim": arm.claim,
    }


def _shown(measured: Measured) -> Json:
    names = ("value", "low", "high", "chance", "bound", "n", "note")
    return {name: getattr(measured, name) for name in names}


def at_most(arm: Arm, measured: Measured) -> float | None:
    """Return what a claimed arm must not exceed: limit or bound, the smaller, or else chance; None for other arms."""
    if arm.claim != "claimed":
        return None
    return min((each for each in (arm.limit, measured.bound) if each is not None), default=measured.chance)


def thinnest(card: Mapping[str, Any], count: int) -> list[Json]:
    """Return the arms that come closest to what they must not exceed, where that is not nothing at all."""
    judged = [result for result in card["results"] if result["at_most"]]
    return sorted(judged, key=lambda result: result["at_most"] - result["value"])[:count]


def exit_code(card: Mapping[str, Any]) -> int:
    """Return 0 if every claim held; 1 if one failed or was not judged, because its control did not succeed."""
    verdicts = {result["verdict"] for result in card["results"]}
    return int(bool({Verdict.FAIL, Verdict.INVALID} & verdicts))


def to_json(card: Json) -> str:
    """Return a scorecard as JSON; numbers that JSON does not have are refused."""
    return json.dumps(card, indent=1, allow_nan=False) + "\n"


def read(path: Path) -> Json:
    """Read a scorecard.

    Raises:
        ConfigError: If the file is none.
    """
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ConfigError(f"{path} is no scorecard of format {FORMAT}; make one with 'securefed threats scorecard'")
    return card
