"""Flower's simulation engine carries the same bytes: what it releases is what one process releases."""

import importlib.util
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from securefed import recipes
from securefed.errors import ConfigError
from securefed.federation import kits
from securefed.federation.agent import Agent
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.flower import simulation
from securefed.federation.flower.simulation import simulated
from securefed.federation.job import Job
from securefed.privacy.ledger import read_export
from securefed.rng import seeded
from tests.federation.flower.network import impossible, network
from tests.federation.parties import repeatable

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install 'securefed[simulation]'"
)

SEEDED = (sys.executable, str(Path(__file__).with_name("seeded_cohort.py")))


@pytest.fixture(name="plan")
def chosen_plan():
    return chosen()


def chosen():
    return recipes.cachefl(
        data="world:sketch,neon", records=80, classes=("cat", "star"), clients=3, rounds=2, delta=1e-3, epsilon=2.0
    )


def embedded(plan, folder):
    """The same task in this process: the released tensors."""
    kits.write(plan, "task", folder / "kits", rng=seeded(3))
    job = Job.open(folder / "kits" / "server", folder / "run")
    with ExitStack() as files:
        homes = {name: folder / "kits" / "clients" / name for name in plan.cohort}
        owners = {name: files.enter_context(kits.open_owner(home, rng=repeatable)) for name, home in homes.items()}
        job.run(EmbeddedTransport({name: Agent(owner) for name, owner in owners.items()}), longest=60)
    return load_file(folder / "run" / "adapter.safetensors")


def left_over(folder):
    """Processes of this user that still know the simulation's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and str(folder).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes())
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A simulated run on a machine of its own, where there can be one: its folder, processes left over, its network."""
    folder = tmp_path_factory.mktemp("simulation") / "simulated"
    with ExitStack() as machine:
        net = None
        if impossible() is None:
            net = machine.enter_context(network(1, delay=0, loss=0))
            machine.enter_context(net.machines[0].entered())
        with simulated(chosen(), folder, task="task", rng=seeded(3), agents=SEEDED) as running:
            running.run()
        return folder, left_over(folder), net


@needs_ray
@pytest.mark.deploy
def test_a_simulated_run_releases_bit_for_bit_what_the_embedded_run_releases_and_leaves_no_process(run, plan, tmp_path):
    folder, left, _ = run
    expected, found = embedded(plan, tmp_path / "embedded"), load_file(folder / "run" / "adapter.safetensors")
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["survivors"] for line in lines if line["kind"] == "round"] == [list(plan.cohort)] * 2
    for name in plan.cohort:
        entries = read_export(folder / "kits" / "clients" / name / "ledger.jsonl").entries
        assert [entry.round for entry in entries] == [1, 2]
    assert left == []


@needs_ray
@pytest.mark.deploy
def test_a_simulation_speaks_to_nobody_outside_its_machine(run):
    *_, net = run
    if net is None:
        pytest.skip(impossible())
    assert net.outside == {}


def test_without_ray_a_simulation_says_how_to_get_it(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(simulation.importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(ConfigError, match=r"pip install 'securefed\[simulation\]'"),
        simulated(plan, tmp_path / "new", task="task", rng=seeded(3)),
    ):
        pass
    assert not (tmp_path / "new").exists()


def test_agents_that_do_not_start_end_the_simulation_with_their_log(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(simulation.importlib.util, "find_spec", lambda name: name)
    dead = (sys.executable, "-c", "raise SystemExit(3)")
    with (
        pytest.raises(ConfigError, match=r"has not started; .*agents\.log says why"),
        simulated(plan, tmp_path / "new", task="task", rng=seeded(3), agents=dead),
    ):
        pass
    assert left_over(tmp_path / "new") == []
