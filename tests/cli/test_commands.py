"""The command line, as a user meets it: output, exit codes, errors."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from securefed.cli import app
from securefed.plan import Plan


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_run_carries_out_a_plan_and_writes_a_report(finished, tmp_path):
    result = call("run", finished / "plan.toml", "--out", tmp_path / "again", "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rounds"] == 3
    assert (tmp_path / "again" / "report.md").exists()
    assert call("verify", tmp_path / "again").exit_code == 0


def test_run_says_what_came_out(finished, tmp_path):
    result = call("run", finished / "plan.toml", "--out", tmp_path / "again", "--dropouts", 1)

    assert "epsilon" in result.stdout
    assert "zero_shot_accuracy" in result.stdout
    assert str(tmp_path / "again" / "report.html") in result.stdout


def test_a_run_over_budget_is_refused_with_the_numbers_and_exit_code_1(finished, tmp_path):
    result = call("run", finished / "plan.toml", "--out", tmp_path / "again", "--ledger", finished / "ledger")

    assert result.exit_code == 1
    assert "2.0000 of epsilon 2.0000" in " ".join(result.stderr.split())


def test_report_makes_the_report_again(finished):
    (finished / "report.json").unlink()

    assert call("report", finished).exit_code == 0
    assert call("verify", finished).exit_code == 0


def test_verify_fails_with_exit_code_1_and_names_the_difference(finished):
    path = finished / "report.json"
    path.write_text(path.read_text().replace('"rounds": 3', '"rounds": 2'))
    result = call("verify", finished)

    assert result.exit_code == 1
    assert "report.rounds" in result.stderr


def test_verify_speaks_json(finished):
    assert json.loads(call("verify", finished, "--json").stdout)["verified"] is True


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "nowhere"),
        ("verify", "nowhere"),
        ("run", "nowhere.toml", "--out", "x"),
        ("run",),
        ("fly",),
        ("verify", "nowhere", "--loud"),
    ],
    ids=str,
)
def test_bad_input_ends_in_exit_code_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*arguments).exit_code == 2
    assert not list(tmp_path.iterdir())


def test_a_plan_that_does_not_hold_is_exit_code_2(finished, tmp_path):
    text = (finished / "plan.toml").read_text()
    (tmp_path / "plan.toml").write_text(text.replace("noise_multiplier = ", "noise_multiplier = 0.1 #"))
    result = call("run", tmp_path / "plan.toml", "--out", tmp_path / "out")

    assert result.exit_code == 2
    assert "would hold it" in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_each_command_explains_itself_with_an_example():
    for command in ("plan", "run", "report", "verify", "provision", "audit"):
        assert f"securefed {command}" in call(command, "--help").stdout


def test_the_package_and_its_command_line_import_nothing_heavy():
    """Whoever only asks for help, or only adds ciphertexts, does not wait for torch."""
    code = "import sys, securefed, securefed.cli, securefed.aggregation.masked, securefed.privacy.ledger; " + (
        "print([m for m in ('torch', 'open_clip', 'opacus', 'tenseal', 'flwr', 'matplotlib', 'sklearn', 'scipy', "
        "'dp_accounting', 'pydantic') if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)

    assert output.stdout.strip() == "[]"


def test_a_finished_plan_is_a_plan(finished):
    assert Plan.from_toml(finished / "plan.toml").private


def test_plan_shows_the_cost_and_writes_what_run_reads(tmp_path):
    result = call("plan", "--epsilon", 2, "--out", tmp_path / "plan.toml", "--json")
    shown = json.loads(result.stdout)

    assert result.exit_code == 0, result.output
    assert shown["epsilon_coalition"] == pytest.approx(2.0)
    assert shown["epsilon_server"] < 2.0
    assert shown["threshold"] == 6
    assert Plan.from_toml(tmp_path / "plan.toml").epsilon == 2.0
    assert call("plan", "--out", tmp_path / "plan.toml").exit_code == 2


def test_plan_shows_the_computed_graph_of_a_large_cohort():
    shown = json.loads(call("plan", "--clients", 400, "--json").stdout)

    assert 2 < shown["neighbours"] < 399
    assert shown["share_threshold"] > shown["share_holders"] / 2


def test_plan_tells_what_degrades_it_what_would_improve_it_and_draws_both(tmp_path):
    arguments = ("plan", "--accuracy", 0.74, "--plot", tmp_path / "plot.svg")
    shown = json.loads(call(*arguments, "--json").stdout)
    text = call(*arguments).stdout

    assert (tmp_path / "plot.svg").stat().st_size > 1000
    assert {row["change"] for row in shown["changes"]} >= {"epsilon", "records"}
    assert sum(row["planned"] for row in shown["degradation"]) == 1
    assert shown["seconds_of_a_client_mask"] > 0
    assert "4 charged" in text
    assert "not a promise" in text
    assert "for accuracy 0.74, each change by itself" in text
    assert "no more than expected" in call("plan", "--accuracy", 0.7).stdout


def test_a_plan_that_is_refused_leaves_no_file(tmp_path):
    for wanted in (("--accuracy", 0.99), ("--plot", tmp_path / "plot.doc")):
        assert call("plan", *wanted, "--out", tmp_path / "plan.toml").exit_code == 2
    assert not list(tmp_path.iterdir())


def test_audit_finds_no_deviation_and_says_so():
    result = call("audit", "--json")
    found = json.loads(result.stdout)

    assert result.exit_code == 0
    assert found["failed"] == 0
    assert len(found["rows"]) > 30


def test_audit_fails_with_exit_code_1_when_a_move_succeeds(monkeypatch):
    from securefed.aggregation import audit

    broken = audit.Row("X", "server", "asks nicely", "is refused", lambda: audit.Finding("was obeyed", holds=False))
    monkeypatch.setattr(audit, "ROWS", (broken,))
    result = call("audit")

    assert result.exit_code == 1
    assert "FAILS" in result.stdout
    assert "1 moves, 1 deviations" in result.stdout
