"""What the processes of a deployment are started with."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from securefed.federation.flower import deployment
from securefed.federation.flower.deployment import deployed
from securefed.federation.flower.processes import Process
from securefed.rng import seeded
from tests import toys


@pytest.mark.parametrize("secure", ["mask", "ckks"])
def test_every_process_is_told_whole_paths_wherever_the_command_is_given(secure, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = []
    monkeypatch.setattr(Process, "start", lambda self: told.append((self.command, self.environment)))
    monkeypatch.setattr(deployment, "_told", lambda command, _: told.append((command, {})) or CompletedProcess([], 0))
    monkeypatch.setattr(deployment, "wait", lambda *_: None)
    plan = toys.plan(secure=secure)
    with deployed(plan, Path("federation"), task="task", rng=seeded(1)):
        settings = (tmp_path / "federation" / "flower" / "config.toml").read_text()

    assert len(told) == 1 + 2 * plan.clients + 1 + (secure == "ckks")
    words = [word for command, environment in told for word in (*command, environment.get("FLWR_HOME", ""))]
    places = [word for word in (*words, *settings.split('"')) if "federation/" in word]
    assert len(places) > 4 * plan.clients
    assert all(place.startswith(str(tmp_path)) for place in places)
