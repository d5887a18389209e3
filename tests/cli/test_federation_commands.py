"""Commands of a federation's parties, as their owners meet them."""

import json
import os
import signal
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from securefed.cli import app
from securefed.federation import process
from securefed.federation.flower import deployment, simulation
from tests import toys


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def plan(small_plan, tmp_path):
    (tmp_path / "plan.toml").write_text(small_plan.to_toml())
    return tmp_path / "plan.toml"


def test_kits_are_written_once_and_name_the_root_to_compare(plan, tmp_path):
    out = tmp_path / "kits"
    result = call("provision", plan, "--task", "study", "--out", out, "--json")

    assert result.exit_code == 0, result.output
    root = json.loads(result.stdout)["root"]
    for kit in (out / "clients").iterdir():
        assert root in (kit / "agent.toml").read_text()
        assert 'tasks = ["study"]' in (kit / "policy.toml").read_text()
    again = call("provision", plan, "--task", "study", "--out", out)
    assert again.exit_code == 2
    assert "not empty" in " ".join(again.stderr.split())


def test_an_agent_with_a_kit_that_does_not_hold_does_not_start(plan, tmp_path):
    out = tmp_path / "kits"
    assert call("provision", plan, "--task", "study", "--out", out).exit_code == 0
    kit = out / "clients" / "client-0"
    (kit / "identity.key").write_text((out / "clients" / "client-1" / "identity.key").read_text())
    result = call("agent", "--policy", kit / "policy.toml", "--socket", tmp_path / "s")

    assert result.exit_code == 2
    assert "is not the key that the roster has" in " ".join(result.stderr.split())


def test_an_agent_says_in_json_when_it_listens_and_when_it_has_ended(plan, tmp_path, monkeypatch):
    out = tmp_path / "kits"
    assert call("provision", plan, "--task", "study", "--out", out).exit_code == 0
    ended = threading.Event()
    ended.set()
    monkeypatch.setattr(process, "told", lambda: ended)
    policy, socket = out / "clients" / "client-0" / "policy.toml", tmp_path / "s"
    result = call("agent", "--policy", policy, "--socket", socket, "--json")

    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["agent"] for line in lines] == ["listens", "ended"]
    assert {line["socket"] for line in lines} == {str(socket)}


def test_a_decryptor_is_started_from_its_kit_as_an_agent_is(tmp_path, monkeypatch):
    (tmp_path / "plan.toml").write_text(toys.plan(secure="ckks").to_toml())
    out, socket, ended = tmp_path / "kits", tmp_path / "s", threading.Event()
    written = call("provision", tmp_path / "plan.toml", "--task", "study", "--out", out)
    assert "for the decryptor alone" in " ".join(written.stderr.split() + written.stdout.split())
    ended.set()
    monkeypatch.setattr(process, "told", lambda: ended)
    result = call("decryptor", "--kit", out / "decryptor", "--socket", socket, "--json")

    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["decryptor"] for line in lines] == ["listens", "ended"]
    assert call("decryptor", "--kit", out / "server", "--socket", socket).exit_code == 2


@pytest.mark.parametrize("engine", ["deploy", "simulate"])
def test_a_federation_into_a_folder_that_is_not_empty_starts_nothing(plan, tmp_path, engine, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    result = call(engine, plan, "--out", tmp_path)

    assert result.exit_code == 2
    assert not (tmp_path / "logs").exists()


def pressed(**_):
    raise KeyboardInterrupt


def killed(**_):
    assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    os.kill(os.getpid(), signal.SIGTERM)


STOPPED = [(pressed, 1, "start again in another folder"), (killed, 128 + signal.SIGTERM, "")]


@pytest.mark.parametrize("engine", ["deploy", "simulate"])
@pytest.mark.parametrize("stopped", STOPPED, ids=["ctrl-c", "kill"])
def test_a_federation_that_is_stopped_takes_its_parties_down(plan, tmp_path, engine, stopped, monkeypatch):
    end, code, said = stopped
    ended, before = [], signal.getsignal(signal.SIGTERM)

    @contextmanager
    def brought_up(plan, folder, **_):
        try:
            yield SimpleNamespace(plan=plan, run=end)
        finally:
            ended.append(folder)

    monkeypatch.setattr(deployment, "deployed", brought_up)
    monkeypatch.setattr(simulation, "simulated", brought_up)
    result = call(engine, plan, "--out", tmp_path / "out")

    assert result.exit_code == code, result.output
    assert ended == [tmp_path / "out"]
    assert said in " ".join(result.stderr.split())
    assert signal.getsignal(signal.SIGTERM) == before
