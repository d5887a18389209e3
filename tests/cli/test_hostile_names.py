"""Names that others chose reach a terminal as text that is seen whole, and a picture as text."""

import json
import shutil
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rich.markup import render
from typer.testing import CliRunner

from securefed.cli import app
from securefed.cli.board import Board
from securefed.cli.screen import cell, shown
from securefed.federation import own_data
from securefed.federation.flower import deployment, simulation
from securefed.threat_models import security
from securefed.threat_models.scorecard import FORMAT

NAME = "<script>[bold red]$x^{$\u202egnp\x1b[31m" + 100 * "a"
"""Markup of three kinds, a mark that turns the direction, and a command to the terminal."""

ACTING = ("\u202e", "\x1b", "\x07")


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def harmless(result):
    assert not [mark for mark in ACTING if mark in result.output]
    return result.output


@pytest.fixture
def hostile(finished, tmp_path):
    """A finished run whose folder somebody named."""
    return shutil.move(finished, tmp_path / NAME)


def test_what_acts_is_shown_as_its_number():
    assert shown("a\u202e\nb\x1b") == "a\\u202e\nb\\u001b"
    assert render(cell("[bold]\x07")).plain == "[bold]\\u0007"


def test_the_name_of_a_run(hostile, small_plan, tmp_path):
    result = call("compare", hostile, "--plot", tmp_path / "compared.svg")

    assert result.exit_code == 0, result.output
    assert "<script>[bold" in harmless(result).replace("\n", "")
    assert (tmp_path / "compared.svg").stat().st_size > 1000
    assert "\\u202e" in Board(small_plan, hostile).table().title
    assert "\\u202e" in harmless(call("report", hostile, "--bundle"))


def test_an_error_that_quotes_a_name(hostile, tmp_path):
    (hostile / "metrics.jsonl").write_text(f'{{"kind": "{NAME[:20]}\\u202e"}}\n')
    for command in ("verify", "report", "compare", "resume"):
        result = call(command, hostile)
        assert result.exit_code in (1, 2)
        assert "error: " in harmless(result)
    text = (hostile / "plan.toml").read_text()
    (hostile / "plan.toml").write_text(text.replace('setting = "distributed"', 'setting = "\\u202e\\u001b[31m"'))
    assert "\\u202e" in harmless(call("run", hostile / "plan.toml", "--out", tmp_path / "new"))


def test_names_of_classes_in_a_table_and_on_a_sheet(tmp_path):
    for name in ("$a^{$\u202e", "[red]b$"):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for number in range(6):
            Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)).save(folder / f"{number}.png")
    result = call("data", f"folder:{tmp_path / 'pictures'}", "--clients", 2, "--sheet", tmp_path / "sheet.svg")

    assert result.exit_code == 0, result.output
    assert "[red]b$" in harmless(result)
    assert "\\u202e" in result.output
    assert (tmp_path / "sheet.svg").stat().st_size > 1000


def test_folders_of_a_federation(small_plan, tmp_path, monkeypatch):
    (tmp_path / "plan.toml").write_text(small_plan.to_toml())
    monkeypatch.setattr(own_data, "put", lambda *_, **__: SimpleNamespace(labels=[0]))
    for arguments in (
        ("provision", tmp_path / "plan.toml", "--task", "study", "--out", tmp_path / "kits" / NAME),
        ("encode", tmp_path / NAME, tmp_path),
    ):
        result = call(*arguments)
        assert result.exit_code == 0, result.output
        assert "\\u202e" in harmless(result)
        assert "[bold red]" in result.stdout


@pytest.mark.parametrize("engine", ["deploy", "simulate"])
def test_the_folder_of_a_federation_that_runs(engine, hostile, small_plan, tmp_path, monkeypatch):
    @contextmanager
    def brought_up(plan, folder, **_):
        shutil.copytree(hostile, folder / "run")
        yield SimpleNamespace(plan=plan, agents=range(4), folder=folder, run=lambda **_: None)

    monkeypatch.setattr(deployment, "deployed", brought_up)
    monkeypatch.setattr(simulation, "simulated", brought_up)
    (tmp_path / "plan.toml").write_text(small_plan.to_toml())
    result = call(engine, tmp_path / "plan.toml", "--out", tmp_path / "out" / NAME)

    assert result.exit_code == 0, result.output
    assert "4 agents" in harmless(result)
    assert result.stderr.count("\\u202e") == 3


def test_a_scorecard_of_others(tmp_path, monkeypatch):
    arm = {"row": NAME, "adversary": "a", "title": "t", "measure": "m", "defences": NAME, "verdict": "PASS"}
    numbers = dict.fromkeys(("value", "low", "high", "chance", "at_most", "accuracy"), 0.5) | {"n": 9}
    card = {"format": FORMAT, "profile": "smoke", "seeds": [0], "version": "1", "results": [arm | numbers]}
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(card))
    new.write_text(json.dumps(card | {"results": []}))
    monkeypatch.setattr(security, "check", lambda *_: None)

    assert "\\u202e" in harmless(call("threats", "diff", old, new))
    assert "\\u202e" in harmless(call("threats", "doc", "--check", "--page", tmp_path / NAME))
