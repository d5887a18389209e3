"""What goes on for more than a second says how far it is, and how long the rest takes, if a terminal is there."""

import io
import json
import re

import pytest
from rich.console import Console
from typer.testing import CliRunner

from securefed.cli import app, following, screen
from securefed.reports import render
from securefed.reports.verify import verify


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def screened(request, monkeypatch):
    """A screen that may be a terminal, and what was written to it."""
    written = Console(file=io.StringIO(), force_terminal=request.param, width=100)
    for module in (screen, following):
        monkeypatch.setattr(module, "console", written)
    return written


def seen(screened):
    return screened.file.getvalue()


def test_verify_and_report_tell_of_every_transcript(finished):
    told = []
    verify(finished, on_sum=lambda *counts: told.append(counts))
    render.write_report(finished, on_sum=lambda *counts: told.append(counts))

    assert told == 2 * [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("command", ["verify", "report", "compare", "data", "threats run"])
def test_a_bar_stands_on_a_terminal_alone_and_never_among_results(command, finished, screened):
    arguments = {"data": ("digits",), "threats run": ("T12",)}.get(command, (finished,))
    result = call(*command.split(), *arguments, "--json")

    assert result.exit_code == 0, result.output
    json.loads(result.stdout)
    assert bool(seen(screened)) == screened.is_terminal


def test_steps_whose_number_comes_later_have_a_time_left(screened):
    with screen.counting("verify") as told:
        told(1, 4)
        told(2, 4)

    assert ("2/4" in seen(screened)) == screened.is_terminal
    assert ("-:--:--" in seen(screened) or "0:00:0" in seen(screened)) == screened.is_terminal


def test_slow_steps_have_a_time_left_too(monkeypatch):
    now = [0.0]
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100, get_time=lambda: now[0])
    monkeypatch.setattr(screen, "console", terminal)
    with screen.counting("rounds") as told:
        for done in (1, 2, 3):
            told(done, 5)
            now[0] += 90.0

    assert "3/5 0:03:00" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen(terminal))


def test_rounds_of_other_processes_are_counted_from_what_they_write(finished, screened, monkeypatch):
    monkeypatch.setattr(following, "LOOK", 0.01)
    counted = []
    looked = following.rounds_in
    monkeypatch.setattr(following, "rounds_in", lambda out: counted.append(looked(out)) or counted[-1])
    with following.watching(finished, 3):
        while screened.is_terminal and len(counted) < 2:
            pass

    assert ("3/3" in seen(screened)) == screened.is_terminal
    assert {len(rounds) for rounds in counted} == ({3} if screened.is_terminal else set())
