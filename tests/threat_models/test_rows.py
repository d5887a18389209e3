"""Every row, played with few trials: controls succeed, claims hold, and all that the package offers has a row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from securefed.errors import ConfigError
from securefed.threat_models.game import Verdict, play_row
from securefed.threat_models.registry import ROWS, row_of


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.id} {row.title}")
def test_the_control_succeeds_and_claims_hold_when_attackers(row):
    results = list(play_row(row, profile="smoke", seed=0))
    found = {result.arm.defences: (result.verdict.value, result.measured) for result in results}

    assert results[0].verdict is Verdict.CONTROL, found
    assert not {Verdict.FAIL, Verdict.INVALID} & {result.verdict for result in results}, found


def test_rows_have_names_of_their_own():
    assert len({row.id for row in ROWS}) == len(ROWS)


def test_a_row_repeats_itself_from_its_seed():
    row = replace(row_of("T03"), arms=row_of("T03").arms[:3], trials={"smoke": 32, "full": 32})
    first, second, other = (list(play_row(row, profile="smoke", seed=seed)) for seed in (3, 3, 4))
    values = [[result.measured for result in results] for results in (first, second, other)]

    assert values[0] == values[1] != values[2]


def test_an_unknown_row_is_refused_by_name():
    with pytest.raises(ConfigError, match="'T99' is unknown"):
        row_of("T99")
