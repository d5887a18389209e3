"""The scorecard as JSON and Markdown, and what its exit code says."""

from __future__ import annotations

import json

from securefed.threat_models.registry import row_of
from securefed.threat_models.scorecard import COLUMNS, exit_code, markdown, scorecard


def test_a_scorecard_is_plain_values_with_utility_seed_and_seconds_beside_every_arm():
    row, seen = row_of("T01"), []
    card = scorecard("smoke", seed=2, rows=[row], on_result=seen.append)

    assert json.loads(json.dumps(card)) == card
    assert [result["defences"] for result in card["results"]] == [arm.defences for arm in row.arms]
    assert len(seen) == len(row.arms)
    for result in card["results"]:
        assert 0.5 < result["accuracy"] < 1
        assert result["seed"] == 2
        assert result["seconds"] >= 0
        assert result["low"] <= result["value"] <= result["high"]


def test_the_markdown_table_has_a_line_an_arm():
    card = scorecard("smoke", rows=[row_of("T01")])
    lines = markdown(card).splitlines()

    assert len(lines) == 4 + len(card["results"])
    assert all(line.count("|") == len(COLUMNS) + 1 for line in lines[2:])


def test_the_exit_code_says_whether_claims_held_and_controls_succeeded():
    def card(*verdicts):
        return {"results": [{"verdict": verdict} for verdict in verdicts]}

    assert exit_code(card("CONTROL", "PASS", "NOT CLAIMED")) == 0
    assert exit_code(card("CONTROL", "FAIL", "INVALID")) == 1
    assert exit_code(card("INVALID", "NOT CLAIMED")) == 2
