"""``securefed threats``, as a user meets it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from securefed.cli import app, threats
from securefed.threat_models import registry, scorecard
from securefed.threat_models.registry import row_of

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def call(*arguments):
    return CliRunner().invoke(app, ["threats", *map(str, arguments)])


@pytest.fixture
def two_rows(monkeypatch):
    """A registry of two quick rows."""
    monkeypatch.setattr(registry, "ROWS", tuple(map(row_of, ("T12", "T14"))))
    monkeypatch.setattr(scorecard, "EVERY", ("T12", "T14"))


def test_list_names_every_row_and_show_says_who_attacks_and_what_it_sees():
    rows = json.loads(call("list", "--json").stdout)["rows"]
    shown = json.loads(call("show", "T09", "--json").stdout)

    assert [row["row"] for row in rows] == [row.id for row in registry.ROWS]
    assert shown["adversary"] == "malicious server"
    assert "every message's bytes" in shown["sees"]
    assert len(shown["arms"]) == len(row_of("T09").arms)
    assert "malicious server" in call("show", "T09").stdout
    assert "T09" in call("list").stdout


def test_run_plays_one_row():
    result = call("run", "T12", "--seed", 3, "--json")

    assert result.exit_code == 0, result.output
    card = json.loads(result.stdout)
    assert card["seeds"] == [3]
    assert [each["verdict"] for each in card["results"]] == ["CONTROL", "PASS"]


def test_scorecard_writes_its_files_and_diff_compares_them(two_rows, tmp_path):
    result = call("scorecard", "--out", tmp_path / "one", "--processes", 1)

    assert result.exit_code == 0, result.output
    assert {"scorecard.json", "scorecard.md", "scorecard.html"} == {path.name for path in (tmp_path / "one").iterdir()}

    card = tmp_path / "one" / "scorecard.json"
    other = tmp_path / "other.json"
    other.write_text(card.read_text().replace('"PASS"', '"FAIL"', 1))

    assert call("diff", card, card).stdout == "no difference\n"
    assert call("diff", card, card).exit_code == 0
    worse = call("diff", card, other, "--json")
    assert worse.exit_code == 1
    assert [each["change"] for each in json.loads(worse.stdout)["differences"]] == ["worse"]


def test_a_claim_that_fails_is_exit_code_1(monkeypatch):
    monkeypatch.setattr(scorecard, "judge", lambda *_args, **_named: scorecard.Verdict.FAIL)

    assert call("run", "T12").exit_code == 1


def test_doc_writes_the_page_and_says_whether_it_is_what_it_should_be(tmp_path):
    page = tmp_path / "SECURITY.md"

    assert call("doc", "--results", RESULTS, "--page", page).exit_code == 0
    assert json.loads(call("doc", "--check", "--results", RESULTS, "--page", page, "--json").stdout)["checked"] is True
    page.write_text(page.read_text().replace("no third-party audit yet", "three audits"))
    worse = call("doc", "--check", "--results", RESULTS, "--page", page)
    assert worse.exit_code == 1
    assert "SECURITY.md:3" in worse.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("show", "T99"),
        ("run", "T99"),
        ("run", "T12", "--profile", "huge"),
        ("scorecard", "--processes", 0),
        ("diff", "nowhere.json", "nowhere.json"),
        ("doc", "--check", "--results", "nowhere"),
    ],
    ids=str,
)
def test_bad_input_ends_in_exit_code_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert call(*arguments).exit_code == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", threats.COMMANDS)
def test_each_command_explains_itself_with_an_example(command):
    assert f"securefed threats {command}" in call(command, "--help").stdout
