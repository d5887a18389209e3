"""The scorecard as JSON and Markdown, over seeds and interruptions, and what its exit code says."""

from __future__ import annotations

import json

import pytest

from securefed.errors import ConfigError
from securefed.threat_models import folder, parts, scorecard
from securefed.threat_models.game import rate
from securefed.threat_models.markdown import COLUMNS, command, markdown, number
from securefed.threat_models.registry import row_of
from securefed.threat_models.scorecard import at_most, exit_code, thinnest


@pytest.fixture(scope="module")
def card():
    return scorecard.scorecard("smoke", seed=2, rows=("T01",))


def without_seconds(value):
    """What must be the same when it is played again."""
    if isinstance(value, dict):
        return {key: without_seconds(item) for key, item in value.items() if key != "seconds"}
    return [without_seconds(item) for item in value] if isinstance(value, list) else value


def test_a_scorecard_is_plain_values_with_utility_seed_and_seconds_beside_every_arm(card):
    assert json.loads(json.dumps(card)) == card
    assert [result["defences"] for result in card["results"]] == [arm.defences for arm in row_of("T01").arms]
    assert card["seeds"] == [2]
    for result in card["results"]:
        assert 0.5 < result["accuracy"] < 1
        assert [each["seed"] for each in result["seeds"]] == [2]
        assert result["seconds"] >= 0
        assert result["low"] <= result["value"] <= result["high"]


def test_the_markdown_table_has_a_line_an_arm_and_the_command_that_repeats_it(card):
    lines = markdown(card).splitlines()

    assert len(lines) == 4 + len(card["results"])
    assert all(line.count("|") == len(COLUMNS) + 1 for line in lines[2:])
    assert command(card) == "securefed threats scorecard --profile smoke --seed 2"


def test_small_numbers_are_not_shown_as_nothing():
    assert [number(value) for value in (0.0, 3.5e-74, 0.25, None)] == ["0.000", "4e-74", "0.250", "–"]


def test_the_full_profile_pools_five_seeds_one_after_another(monkeypatch):
    def played(wanted, *, processes):
        for part in wanted:
            assert part.profile == "full"
            arms = [rate(10, 10, chance=0.0), rate(part.seed == 8, 10, chance=0.0)]
            yield parts.PlayedPart(part, tuple(parts.PlayedArm(measured, 0.5) for measured in arms))

    monkeypatch.setattr(scorecard, "play_parts", played)
    control, claimed = scorecard.scorecard("full", seed=5, rows=("T12",))["results"]

    assert [each["seed"] for each in claimed["seeds"]] == [5, 6, 7, 8, 9]
    assert (claimed["n"], claimed["value"], claimed["verdict"]) == (50, 1 / 50, "FAIL")
    assert (control["value"], control["verdict"], control["seconds"]) == (1.0, "CONTROL", 2.5)


def test_a_scorecard_that_was_interrupted_goes_on_where_it_was(tmp_path, monkeypatch):
    kept = folder.begin(tmp_path / "out")
    first = scorecard.scorecard("smoke", rows=("T12", "T14"), parts=kept)
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text(lines[0] + lines[1][:40])
    asked, play = [], parts.play_part
    monkeypatch.setattr(parts, "play_part", lambda part: asked.append(part.row) or play(part))
    again = scorecard.scorecard("smoke", rows=("T12", "T14"), parts=kept)

    assert asked == ["T14"]
    assert without_seconds(again) == without_seconds(first)


def test_parts_that_other_code_or_another_profile_played_are_played_again(tmp_path, monkeypatch):
    kept = folder.begin(tmp_path)
    monkeypatch.setattr(parts, "source_digest", lambda: "of other code")
    parts.keep(kept, parts.play_part(parts.Part("T12", "smoke", 0)))
    monkeypatch.undo()

    assert parts.kept(kept) == {}

    parts.keep(kept, parts.play_part(parts.Part("T12", "smoke", 0)))

    assert set(parts.kept(kept)) == {parts.Part("T12", "smoke", 0)}
    assert parts.Part("T12", "full", 0) not in parts.kept(kept)


def test_processes_of_their_own_find_the_same():
    rows = ("T12", "T14")

    assert without_seconds(scorecard.scorecard("smoke", rows=rows, processes=2)) == without_seconds(
        scorecard.scorecard("smoke", rows=rows)
    )
    with pytest.raises(ConfigError, match="processes is 0"):
        list(parts.play_parts([], processes=0))


def test_a_whole_scorecard_is_written_and_read_and_its_parts_are_let_go(card, tmp_path):
    parts.keep(folder.begin(tmp_path), parts.play_part(parts.Part("T12", "smoke", 0)))
    folder.finish(card, tmp_path, "<!DOCTYPE html>")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["scorecard.html", "scorecard.json", "scorecard.md"]
    assert scorecard.read(tmp_path / "scorecard.json") == card


@pytest.mark.parametrize(
    ("content", "message"), [("{", "is not JSON"), ("[]", "is no scorecard"), ('{"format": "x/1"}', "is no scorecard")]
)
def test_what_is_no_scorecard_is_refused(content, message, tmp_path):
    (tmp_path / "card.json").write_text(content)

    with pytest.raises(ConfigError, match=message):
        scorecard.read(tmp_path / "card.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        scorecard.read(tmp_path / "nothing.json")


def test_the_exit_code_says_whether_claims_held_and_controls_succeeded():
    def card(*verdicts):
        return {"results": [{"verdict": verdict} for verdict in verdicts]}

    assert exit_code(card("CONTROL", "PASS", "NOT CLAIMED")) == 0
    assert exit_code(card("CONTROL", "FAIL")) == 1
    assert exit_code(card("INVALID", "NOT CLAIMED")) == 1


def test_a_claim_is_compared_with_the_smaller_of_limit_and_bound_or_else_chance():
    _, claimed = row_of("T12").arms
    by_chance = row_of("T06").arms[2]

    assert at_most(claimed, rate(0, 10, chance=0.0, bound=0.5)) == claimed.limit
    assert at_most(by_chance, rate(0, 10, chance=0.25)) == 0.25
    assert at_most(row_of("T12").arms[0], rate(0, 10, chance=0.0)) is None


def test_the_thinnest_margins_come_first_and_claims_of_nothing_at_all_have_none():
    def result(value, most):
        return {"value": value, "at_most": most}

    card = {"results": [result(0.1, 0.5), result(0.0, 0.0), result(0.45, 0.5), result(1.0, None), result(0.6, 0.5)]}

    assert [each["value"] for each in thinnest(card, 2)] == [0.6, 0.45]
