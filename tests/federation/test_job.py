"""A run of agents leaves what a run in one process leaves: the same figures, and everything that verification needs."""

import json
from contextlib import ExitStack

import pytest

from securefed import inventory, recipes, runs
from securefed.aggregation.provision import load_identity
from securefed.errors import ProtocolError, VerificationError
from securefed.federation import kits, statement
from securefed.federation.agent import Agent
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.job import Job
from securefed.federation.transport import Dropout, Reason
from securefed.preparation import prepare
from securefed.privacy.book import parse, signature_line, signed_bytes
from securefed.reports import render
from securefed.reports.verify import verify
from securefed.rng import secure
from tests.federation.parties import repeatable

TASK = "task"
GONE = Dropout(Reason.GONE)


@pytest.fixture(scope="module")
def plan():
    return recipes.cachefl(
        data="world:sketch,neon", records=60, classes=("cat", "star"), clients=4, rounds=2, delta=1e-3, epsilon=2.0
    )


@pytest.fixture(scope="module")
def materials(plan):
    return prepare(plan)


@pytest.fixture
def agents(plan, materials, tmp_path):
    kits.write(plan, TASK, tmp_path / "kits", rng=secure())
    with ExitStack() as files:
        homes = {name: tmp_path / "kits" / "clients" / name for name in plan.cohort}
        opened = {
            name: files.enter_context(kits.open_owner(home, rng=repeatable, materials=materials))
            for name, home in homes.items()
        }
        yield {name: Agent(owner) for name, owner in opened.items()}


@pytest.fixture
def run(materials, tmp_path):
    def run(transport):
        Job.open(tmp_path / "kits" / "server", tmp_path / "run", materials=materials).run(transport, longest=60)
        return tmp_path / "run"

    return run


def lines(folder, kind):
    found = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line for line in found if line["kind"] == kind]


def test_a_run_of_agents_has_the_report_of_a_run_in_one_process_and_verification_passes(plan, agents, run, tmp_path):
    found = run(EmbeddedTransport(agents))
    runs.execute(plan, tmp_path / "one", rng=repeatable)
    for folder in (found, tmp_path / "one"):
        render.write_report(folder)
    one, many = (json.loads((folder / "report.json").read_text()) for folder in (tmp_path / "one", found))

    own = {"run", "digest", "seconds", "spend", "secure_sum", "runs_on_this_data", "deployments_registry"}
    assert one.keys() == many.keys()
    assert {key for key in one if one[key] != many[key]} <= own | {"assumptions"}
    for key in ("survivors_by_round", "dropped_by_round", "threshold", "messages"):
        assert one["secure_sum"][key] == many["secure_sum"][key]
    assert one["spend"]["per_round"] == many["spend"]["per_round"]
    checks = verify(found).checks
    assert any("4 ledgers with 8 charges" in check for check in checks)
    assert any("2 transcripts are whole" in check for check in checks)
    assert not (found / "resume").exists()
    assert not any(path.suffix == ".sqlite" for path in found.rglob("*"))


class Killed(BaseException):
    """The server's process ends here."""


@pytest.mark.parametrize("place", [3, 5, 6])
def test_a_server_killed_on_the_way_goes_on_and_its_notes_say_everything_once(plan, agents, run, place):
    """Places of phases, over both rounds; the last is the one that asks for ledgers."""
    asked = []

    def fault(phase, name):
        asked.append(phase)
        if len(asked) == place * plan.clients + 2:
            raise Killed

    with pytest.raises(Killed):
        run(EmbeddedTransport(agents, before=fault))
    folder = run(EmbeddedTransport(agents))
    content = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run(EmbeddedTransport({}))

    assert content == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert [line["number"] for line in lines(folder, "round")] == [1, 2]
    phases = [(line["number"], line["phase"]) for line in lines(folder, "phase")]
    assert len(phases) == len(set(phases)) == 6
    assert len(lines(folder, "start")) == len(lines(folder, "end")) == 1
    render.write_report(folder)
    assert verify(folder)


def test_who_dropped_out_of_a_sum_need_not_have_paid_and_who_is_in_it_must(agents, run, tmp_path):
    def fault(phase, name):
        return GONE if (phase, name) == ("mask", "client-2") and not lines(tmp_path / "run", "round") else None

    folder = run(EmbeddedTransport(agents, before=fault))
    render.write_report(folder)
    assert any("4 ledgers with 7 charges" in check for check in verify(folder).checks)
    report = json.loads((folder / "report.json").read_text())
    assert report["secure_sum"]["dropped_by_round"] == [["client-2"], []]
    assert report["spend"]["per_client"]["client-2"]["charges"] == 1

    path, keys = folder / "ledger" / "client-1.jsonl", tmp_path / "kits"
    kept = path.read_text().splitlines()[:-2]
    signature = load_identity(keys / "clients" / "client-1" / "identity.key", name="client-1").sign(
        signed_bytes(parse(kept, where=""))
    )
    path.write_text("".join(f"{line}\n" for line in [*kept, signature_line(signature)]))
    inventory.write(folder, sign=load_identity(keys / "server" / "identity.key", name="server").sign)
    with pytest.raises(VerificationError, match=r"ledger/client-1\.jsonl: it does not hold 1 charges"):
        verify(folder)


def test_a_ledger_that_is_missing_or_not_its_clients_is_asked_for_again(agents, run):
    class Forger:
        def answer(self, request):
            other = agents["client-1"] if statement.is_asked(request) else agents["client-0"]
            return other.answer(request)

    def fault(phase, name):
        return GONE if (phase, name) == ("ledgers", "client-3") else None

    with pytest.raises(ProtocolError, match=r"ledgers are missing.*client-0: the signature.*client-3: the cl"):
        run(EmbeddedTransport(agents | {"client-0": Forger()}, before=fault))
    asked = []
    folder = run(EmbeddedTransport(agents, before=lambda *of: asked.append(of)))

    assert asked == [("ledgers", "client-0"), ("ledgers", "client-3")]
    render.write_report(folder)
    assert verify(folder)


def test_only_the_server_of_the_roster_is_told_what_a_ledger_says(agents, plan, materials, tmp_path):
    folder = tmp_path / "kits"
    task = kits.open_task(folder / "server", materials, plan)
    asked = statement.ask(TASK, task.identity, task.roster)
    other = load_identity(folder / "clients" / "client-1" / "identity.key", name="server")

    assert agents["client-0"].answer(asked) == agents["client-0"].answer(asked)
    for bad in (asked[:-1] + bytes([asked[-1] ^ 1]), statement.MAGIC, statement.ask(TASK, other, task.roster)):
        with pytest.raises(ProtocolError):
            agents["client-0"].answer(bad)
