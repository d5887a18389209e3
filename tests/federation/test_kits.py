"""Kits: each party gets what it may hold; agents as processes of their own, killed and started again."""

import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from securefed import recipes
from securefed.errors import ConfigError
from securefed.federation import kits
from securefed.federation.courier import Unreachable, carry
from securefed.federation.deadlines import Deadlines
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.greeting import challenge
from securefed.federation.memory import Memory
from securefed.federation.server import Server
from securefed.preparation import prepare
from securefed.privacy.ledger import read_export
from securefed.rng import secure


@pytest.fixture(scope="module")
def plan():
    return recipes.cachefl(
        data="world:sketch,neon", records=60, classes=("cat", "star"), clients=4, rounds=2, delta=1e-3, epsilon=2.0
    )


@pytest.fixture
def folder(plan, tmp_path):
    kits.write(plan, "task", tmp_path / "kits", rng=secure())
    return tmp_path / "kits"


def test_a_kit_holds_what_its_party_may_hold(plan, folder):
    private = {path: path.read_text() for path in folder.rglob("identity.key")}
    assert len(private) == 1 + plan.clients
    for home in [folder / "server", *(folder / "clients").iterdir()]:
        texts = [path.read_text() for path in home.iterdir()]
        assert {key for key in private.values() if any(key.strip() in text for text in texts)} == {
            private[home / "identity.key"]
        }
        assert all(path.stat().st_mode & 0o077 == 0 for path in home.iterdir() if path.name != "roster.json")
    names = {path.name for path in (folder / "clients" / plan.cohort[0]).iterdir()}
    assert names == {"identity.key", "policy.toml", "agent.toml", "roster.json", "plan.toml"}


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("agent.toml", ("client-0", "client-1"), "is not the key that the roster has"),
        ("agent.toml", ("roster_root", "root"), "does not say name and roster_root"),
        ("roster.json", ('"server": "', '"server": "00'), "keys of a roster"),
        ("plan.toml", ("rounds = 2", "rounds = 3"), "above the target"),
        ("policy.toml", ("clip_norm", "norm"), "is not a setting"),
    ],
)
def test_a_kit_that_was_changed_is_refused(folder, plan, file, change, message):
    kit = folder / "clients" / plan.cohort[0]
    (kit / file).write_text((kit / file).read_text().replace("client-00", "client-0").replace(*change))
    with pytest.raises(ConfigError, match=message), kits.open_owner(kit):
        pass


class Remote:
    """An agent in a process of its own, reached through its socket."""

    def __init__(self, kit, socket):
        self.socket, self.log = socket, kit / "log"
        command = [sys.executable, "-m", "securefed.federation.process", str(kit / "policy.toml"), str(socket)]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def ready(self):
        end = time.monotonic() + 120
        while True:
            try:
                return self.answer(challenge(bytes(32)))
            except Unreachable:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < end
                time.sleep(0.1)

    def answer(self, request):
        return carry(self.socket, request, patience=60)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(60)


@contextmanager
def started(folder, names):
    with tempfile.TemporaryDirectory(prefix="sf-") as sockets:
        agents = {name: Remote(folder / "clients" / name, Path(sockets) / f"{name}.sock") for name in names}
        try:
            for agent in agents.values():
                agent.ready()
            yield agents
        finally:
            for agent in agents.values():
                agent.end()


def charges(folder, name):
    path = folder / "clients" / name / "ledger.jsonl"
    return [entry.round for entry in read_export(path).entries]


@pytest.mark.deploy
def test_agents_in_processes_of_their_own_survive_kills_and_charge_once(plan, folder):
    task = kits.open_task(folder / "server", prepare(plan), plan)
    killed = []
    with started(folder, plan.cohort) as agents:

        def fault(phase, name):
            if phase == "mask" and name == plan.cohort[0] and not killed:
                killed.append(name)
                agents[name].end(signal.SIGKILL)
                agents[name] = Remote(folder / "clients" / name, agents[name].socket)
                agents[name].ready()

        transport = EmbeddedTransport(agents, before=fault)
        digest = bytes.fromhex(plan.digest)
        with Memory(folder / "memory", digest=digest, task="task") as memory:
            done = list(Server(task, transport, memory, Deadlines(longest=60)).rounds())

    assert done[0].survivors == plan.cohort[1:]
    assert done[1].survivors == plan.cohort
    assert charges(folder, plan.cohort[0]) == [2]
    assert charges(folder, plan.cohort[1]) == [1, 2]
    assert not np.array_equal(done[0].state.adapter.vector(), done[1].state.adapter.vector())
