"""``compare`` and ``data``: tables, pictures, and what they refuse."""

import io
import json
import sys

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from securefed.cli import app
from securefed.cli.board import Board
from securefed.cli.trackers import _figures


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_compare_shows_runs_in_one_table_and_one_picture(finished, tmp_path):
    result = call("compare", finished, finished, "--plot", tmp_path / "compared.png", "--json")
    rows = json.loads(result.stdout)["runs"]

    assert result.exit_code == 0, result.output
    assert [row["run"] for row in rows] == ["run", str(finished)]
    assert rows[0]["epsilon_this_run"] == pytest.approx(2.0)
    assert rows[0] | {"run": ""} == rows[1] | {"run": ""}
    with Image.open(tmp_path / "compared.png") as picture:
        assert picture.width > 1000
    assert "distributed" in call("compare", finished).stdout


def test_compare_verifies_what_it_shows(finished):
    path = finished / "report.json"
    path.write_text(path.read_text().replace('"rounds": 3', '"rounds": 2'))
    result = call("compare", finished)

    assert result.exit_code == 1
    assert "where: report.json" in result.stderr


def test_data_counts_every_record_once_and_draws_a_sheet(tmp_path):
    arguments = ("world:sketch,neon", "--records", 80, "--clients", 3, "--partition", "dirichlet:0.5")
    result = call("data", *arguments, "--sheet", tmp_path / "sheet.png", "--json")
    rows = json.loads(result.stdout)["clients"]

    assert result.exit_code == 0, result.output
    assert sum(row["records"] for row in rows) == 80
    assert all(sum(row["classes"].values()) == sum(row["domains"].values()) == row["records"] for row in rows)
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.width > 1000
    assert "client-2" in call("data", *arguments).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "nowhere"),
        ("compare",),
        ("compare", "x", "--plot", "picture.doc"),
        ("data", "world:skech"),
        ("data", "digits", "--partition", "fairly"),
        ("data", "digits", "--clients", "0"),
        ("data", "folder:nowhere"),
        ("data", "digits", "--sheet", "sheet.doc"),
        ("resume", "nowhere"),
        ("resume",),
    ],
    ids=str,
)
def test_bad_input_ends_in_exit_code_2_and_leaves_nothing(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)

    assert result.exit_code == 2, result.output
    assert not list(tmp_path.iterdir())


def test_a_live_view_and_trackers_are_told_what_is_public(small_plan, finished):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(Board(small_plan, finished).table())
    shown = console.export_text()

    assert "3 of 3" in shown
    assert "2.000" in shown
    assert set(_figures(small_plan, 2, 0.5)) == {"accuracy", "epsilon"}
    assert _figures(small_plan, 3, 0.5)["epsilon"] == pytest.approx(2.0)


def test_watch_ends_with_every_round_on_the_screen(small_plan, tmp_path):
    (tmp_path / "plan.toml").write_text(small_plan.to_toml())
    result = call("run", tmp_path / "plan.toml", "--out", tmp_path / "run", "--watch", "--dropouts", 1)

    assert result.exit_code == 0, result.output
    assert "3 of 3" in result.stderr


def test_a_tracker_that_is_not_installed_is_named(small_plan, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    (tmp_path / "plan.toml").write_text(small_plan.to_toml())
    result = call("run", tmp_path / "plan.toml", "--out", tmp_path / "run", "--mlflow", "demo")

    assert result.exit_code == 2
    assert "securefed[mlflow]" in result.stderr
    assert not (tmp_path / "run").exists()
