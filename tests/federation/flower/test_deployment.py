"""Flower's deployment engine on loopback, with TLS and node keys: exact sums, refusals, kills, no secret outside."""

import json
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from securefed import recipes
from securefed.aggregation.masked_server import MaskedServer
from securefed.aggregation.session import Session
from securefed.aggregation.topology import choose
from securefed.errors import SecureFedError
from securefed.federation import kits
from securefed.federation.agent import Agent
from securefed.federation.deadlines import Deadlines
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.flower import certificates, deployment
from securefed.federation.flower.deployment import deployed, supernode
from securefed.federation.flower.processes import tree
from securefed.federation.job import Job
from securefed.federation.memory import Memory
from securefed.federation.opening import Opening
from securefed.federation.server import Server, _Sum
from securefed.federation.transport import Dropout, Reason
from securefed.preparation import prepare
from securefed.privacy.book import read_export
from securefed.reports import render
from securefed.reports.verify import verify
from securefed.rng import seeded
from securefed.rounds import deal_of, parameters_of
from tests.federation.flower import hostile, scan
from tests.federation.flower.seeded_agent import repeatable

pytestmark = pytest.mark.deploy

SEEDED = (sys.executable, str(Path(__file__).with_name("seeded_agent.py")))
TASK = "task"


@pytest.fixture(scope="module")
def plan():
    return recipes.cachefl(
        data="world:sketch,neon", records=80, classes=("cat", "star"), clients=4, rounds=2, delta=1e-3, epsilon=2.0
    )


def embedded(plan, materials, folder, *, without):
    """The same task in this process, in which a client drops out of the first masks: the released tensors."""
    left = iter([True])

    def lost(phase, name):
        return Dropout(Reason.GONE) if (phase, name) == ("mask", without) and next(left, False) else None

    kits.write(plan, TASK, folder / "kits", rng=seeded(3))
    job = Job.open(folder / "kits" / "server", folder / "run", materials=materials)
    with ExitStack() as files:
        opened = partial(kits.open_owner, rng=repeatable, materials=materials)
        owners = {name: files.enter_context(opened(folder / "kits" / "clients" / name)) for name in plan.cohort}
        job.run(EmbeddedTransport({name: Agent(owner) for name, owner in owners.items()}, before=lost), longest=60)
    return load_file(folder / "run" / "adapter.safetensors")


def lines(folder, kind):
    """What a run has written down so far."""
    path = folder / "run" / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    return [line for line in map(json.loads, text.splitlines()) if line["kind"] == kind]


def until(running, number, phase, *, seconds=240):
    """Wait until a phase of a round is over, and return who has dropped out in it."""
    end = time.monotonic() + seconds
    while True:
        for line in lines(running.folder, "phase"):
            if (line["number"], line["phase"]) == (number, phase):
                return line["dropped"]
        assert time.monotonic() < end, running.superlink.log.read_text()[-3000:]
        time.sleep(0.2)


@contextmanager
def until_the_superlink_is_killed(running, node):
    """The first round, in which a SuperNode is killed, then the SuperLink; both come back afterwards.

    Yields:
        Who drops out, and why, filled in at the end: the block has half a minute in which the machine waits for Flower
        to miss the SuperNode.
    """
    dropped = {}
    with ThreadPoolExecutor(1) as beside:
        run = beside.submit(running.run)
        until(running, 1, "share")
        running.supernodes[node].kill()
        yield dropped
        dropped |= until(running, 1, "mask")
        time.sleep(1)  # killed while it takes a message in, Flower looks for the rest of that message for a minute
        running.superlink.kill()
        with pytest.raises(SecureFedError, match="has not ended well"):
            run.result()
    running.superlink.start()
    deployment.wait(lambda: deployment.healthy(running.folder, running.port), running.superlink)
    running.supernodes[node].start()


@contextmanager
def until_the_end(running, agent):
    """What is left of the run; an agent is killed in the second round and comes back.

    Yields:
        Who dropped out, and why, when the second sum is opened and the agent is back; the server's memory amid it is in
        ``amid.sqlite``.
    """
    with ThreadPoolExecutor(1) as beside:
        run = beside.submit(running.run)
        until(running, 2, "mask")
        running.agents[agent].kill()
        time.sleep(0.5)
        shutil.copy(running.folder / "run" / "resume" / "server.sqlite", running.folder / "amid.sqlite")
        deployment.wait(lambda: "no agent answers" in running.supernodes[agent].log.read_text(), running.superlink)
        running.agents[agent].start()
        dropped = until(running, 2, "agree")
        until(running, 2, "reveal")
        deployment.wait(lambda: deployment.answers(running.sockets[agent]), running.agents[agent])
        yield dropped
        try:
            run.result()
        except SecureFedError:
            # It came back too late to hand out its ledger: the run is over but for that.
            running.run()


def lower_threshold(plan, job):
    """An opening that the real server has signed, with a lower threshold."""
    adapter = job.materials.adapter
    deal = deal_of(plan, first=1, attempt=1)
    public = parameters_of(plan, adapter, run=TASK, number=1, previous=bytes(32), attempt=1, deal=deal)
    lower = replace(public, threshold=public.threshold - 1, topology=choose(plan.clients, plan.threshold))
    role = MaskedServer(Session(lower, job.task.roster), job.task.identity)
    frame = role.requests()[plan.cohort[1]]
    return Opening(1, 1, 1, 1, TASK, bytes.fromhex(plan.digest), bytes(32), adapter.kept(), frame).to_bytes()


def other_survivors(plan, job, memory, *, without, to):
    """The real server's request for the last sum's shares, signed, as if one client more had dropped out."""
    with Memory(memory, digest=bytes.fromhex(plan.digest), task=TASK) as amid:
        server = Server(job.task, EmbeddedTransport({}), amid, Deadlines(longest=60))
        role, place = _Sum(server, 2, 0, None).role, 0
        while role.requests() and role.phase != "mask":
            role.collect(amid.answers(place))
            place += 1
        role.requests()
        role.collect({name: answer for name, answer in amid.answers(place).items() if name != without})
    return role.requests()[to]


def refused(running, stranger, name, authority):
    """Start a SuperNode that must not come in, and return what it says."""
    process = supernode(running.folder, name, running.port, running.sockets[stranger], authority=authority)
    process.log = process.log.with_stem(f"refused-{name}-{authority.parent.name}")
    process.start()
    try:
        end = time.monotonic() + 90
        while process.code is None and time.monotonic() < end:
            time.sleep(0.2)
        assert process.code not in (0, None), process.log.read_text()
    finally:
        process.kill()
    return process.log.read_text()


def check_that_nobody_else_comes_in(running, name):
    own, others = running.folder / "certificates" / "ca.crt", running.folder / "others" / "ca.crt"
    certificates.node_key(running.folder / "keys" / "stranger")
    certificates.authority(others.parent)
    with ThreadPoolExecutor(3) as beside:
        ways = ((name, own), ("stranger", own), (name, others))
        said = list(beside.map(lambda way: refused(running, name, *way), ways))
    assert "Failed to activate" in said[0]
    assert "Failed to activate" in said[1]
    assert "CERTIFICATE_VERIFY_FAILED" in said[2]


def check_that_it_is_exact(folder, plan, expected, node):
    """Equal, bit for bit, to the run in this process in which the same client dropped out; nobody was charged twice."""
    released = load_file(folder / "run" / "adapter.safetensors")
    assert released.keys() == expected.keys()
    assert all((released[key] == expected[key]).all() for key in expected)
    for name in plan.cohort:
        entries = read_export(folder / "kits" / "clients" / name / "ledger.jsonl").entries
        assert [entry.round for entry in entries] == ([2] if name == node else [1, 2])


def check_that_no_secret_is_outside(folder, plan, materials, visible):
    held = [path.read_bytes() for path in (folder / "flower").rglob("*") if path.is_file()]
    held += [path.read_bytes() for path in (folder / "logs").iterdir()]
    held += [path.read_bytes() for path in (folder / "run").rglob("*") if path.is_file()]
    for name in plan.cohort:
        for secret in scan.secrets_of(folder / "kits" / "clients" / name, repeatable, plan.rounds, materials):
            assert not scan.found(secret, [*held, *visible]), name
    # What is there is found: node keys in Flower's database, the kit on a command line's way.
    roster = json.loads((folder / "kits" / "roster.json").read_text())
    assert scan.found(bytes.fromhex(roster["clients"][plan.cohort[0]]), held)
    assert any(b"flwr-clientapp" in line for line in visible)
    assert any(b"FLWR_HOME" in line for line in visible)


def test_a_deployment_is_exact_whoever_is_killed_lets_nobody_in_and_holds_no_secret(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a folder may be named from where one is
    folder, (node, agent, third, fourth) = Path("deployed"), plan.cohort
    with deployed(plan, folder, task=TASK, rng=seeded(3), agent=SEEDED) as running:
        parties = [running.superlink, *running.supernodes.values()]
        with scan.watched(lambda: [each.pid for party in parties for each in tree(party.pid)]) as visible:
            with until_the_superlink_is_killed(running, node) as dropped:
                check_that_nobody_else_comes_in(running, third)
                materials = prepare(plan)
                expected = embedded(plan, materials, tmp_path / "embedded", without=node)
            with until_the_end(running, agent) as also_dropped:
                job = Job.open(folder / "kits" / "server", folder / "asking", materials=materials)
                requests = {
                    "data": b"GET /data",
                    "features": b"SFED" + bytes(100),
                    "opening": b"SFOP" + bytes(50),
                    "threshold": lower_threshold(plan, job),
                    "unmask": other_survivors(plan, job, folder / "amid.sqlite", without=node, to=third),
                }
                said = hostile.answers(running.folder, requests)
    assert set(dropped | also_dropped) == {agent, node}
    assert "no agent answers" in also_dropped[agent]
    assert len(said) >= 3
    assert all(line.count("Refused: ") == len(requests) for line in said), said

    rounds = [line["survivors"] for line in lines(folder, "round")]
    assert rounds == [[agent, third, fourth], [node, agent, third, fourth]]
    check_that_it_is_exact(folder, plan, expected, node)
    check_that_no_secret_is_outside(folder, plan, materials, visible)
    render.write_report(folder / "run")
    assert any("2 transcripts are whole" in check for check in verify(folder / "run").checks)
    assert not any(process.code is None for process in (*parties, *running.agents.values()))
