"""Ctrl-C and the end of a process: what a user sees, and what is left to go on with."""

import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from securefed import journey
from securefed.cli import app
from securefed.cli.interrupts import between_rounds


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def plan_file(small_plan, tmp_path):
    (tmp_path / "plan.toml").write_text(small_plan.to_toml())
    return tmp_path / "plan.toml"


def signalling(number, monkeypatch):
    """Let the user press Ctrl-C within a round."""
    real = journey.run_round

    def run_round(*args, **named):
        if named["number"] == 2:
            os.kill(os.getpid(), number)
        return real(*args, **named)

    monkeypatch.setattr(journey, "run_round", run_round)
    return real


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_when_the_round_is_over_and_resume_goes_on(plan_file, tmp_path, monkeypatch, number):
    real, out = signalling(number, monkeypatch), tmp_path / "run"
    stopped = call("run", plan_file, "--out", out)
    for command in ("report", "verify"):
        unfinished = call(command, out)
        assert unfinished.exit_code == 2, unfinished.output
        assert "resume" in unfinished.stderr
    monkeypatch.setattr(journey, "run_round", real)
    resumed = call("resume", out, "--json")

    assert stopped.exit_code == 1
    assert "stopping when this round is over" in stopped.stderr
    assert "securefed resume" in stopped.stderr
    assert resumed.exit_code == 0, resumed.output
    assert json.loads(resumed.stdout)["rounds"] == 3
    rounds = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [len(line["survivors"]) for line in rounds if line["kind"] == "round"] == [4, 4, 4]
    assert call("verify", out).exit_code == 0


def test_a_second_ctrl_c_stops_at_once():
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), between_rounds():
        twice()
    assert signal.getsignal(signal.SIGINT) is before


def test_nothing_to_resume_is_bad_input(finished, tmp_path):
    assert call("resume", tmp_path / "nowhere").exit_code == 2
    result = call("resume", finished)

    assert result.exit_code == 2
    assert "nothing left to do" in result.stderr


def test_a_process_that_is_interrupted_from_outside_says_how_to_go_on(plan_file, tmp_path):
    command = [sys.executable, "-c", "from securefed.cli import main; main()", "run", str(plan_file), "--out"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "run")], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    while process.poll() is None and not (tmp_path / "run" / "resume" / "checkpoint").exists():
        pass
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)

    assert process.returncode == 1, errors
    assert output == ""
    assert "Traceback" not in errors
    assert call("resume", tmp_path / "run").exit_code == 0
