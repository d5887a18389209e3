"""Flower's grid as a transport: replies by message id, four ways to be missing, clients found by their keys."""

import itertools
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.supercore.task_identity import TaskIdentity

from securefed.errors import ConfigError, ProtocolError, ThresholdError
from securefed.federation.courier import Unreachable
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.flower import app, client, grid
from securefed.federation.flower.grid import GridTransport
from securefed.federation.flower.records import unwrap, wrap, wrap_refusal
from securefed.federation.transport import Dropout, Reason
from securefed.rng import secure, seeded
from tests import toys
from tests.federation.parties import behind


@pytest.fixture(autouse=True)
def task(monkeypatch):
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)
    monkeypatch.setattr(grid, "POLL", 0.005)


class FakeGrid:
    """Nodes under random numbers, replies in random order, some lost in the ways that a SuperLink loses them."""

    def __init__(self, agents, fault=lambda group, name: None):
        numbers = random.Random(5).sample(range(2**62), len(agents))
        self.nodes, self.agents, self.fault = dict(zip(numbers, agents, strict=True)), agents, fault
        self.ids, self.waiting, self.pushed = itertools.count(), {}, []

    def get_node_ids(self):
        return list(self.nodes)

    def push_messages(self, messages):
        return [self._push(message) for message in messages]

    def _push(self, message):
        id_ = f"id-{next(self.ids)}"
        message.metadata.__dict__["_message_id"] = id_
        self.pushed.append(message)
        name = self.nodes.get(message.metadata.dst_node_id)
        reply = self.fault(message.metadata.group_id, name) or self._answer(name, message)
        if not isinstance(reply, str):
            if isinstance(reply, Error):
                reply = Message(reply, reply_to=message)
                # The SuperLink's own errors come from its own node.
                reply.metadata.__dict__["_src_node_id"] = 1
            self.waiting[id_] = reply
        return id_

    def _answer(self, name, message):
        try:
            return Message(wrap(self.agents[name].answer(unwrap(message.content))), reply_to=message)
        except ProtocolError as error:
            return Message(wrap_refusal(f"{type(error).__name__}: {error}"), reply_to=message)

    def pull_messages(self, ids):
        found = [self.waiting.pop(id_) for id_ in ids if id_ in self.waiting]
        random.Random(len(found)).shuffle(found)
        return found


def nobody(name, answer):
    """Nobody answers."""
    raise AssertionError(name)


def reached(parties, **changes):
    fake = FakeGrid(parties.agents, **changes)
    transport = GridTransport(fake, parties.members.roster, rng=secure())
    return fake, transport


def ends(parties, transport):
    with parties.server(transport) as server:
        return [(done.state.adapter.vector(), done.survivors) for done in server.rounds()]


def test_a_run_on_the_grid_is_bit_equal_to_the_embedded_run(federate):
    plan = toys.plan(rounds=2)
    embedded, parties = federate(plan, "embedded"), federate(plan)
    expected = ends(embedded, EmbeddedTransport(embedded.agents))
    _, transport = reached(parties)

    assert transport.find(plan.cohort, least=4, deadline=5) == plan.cohort
    for (vector, survivors), (known, all_) in zip(ends(parties, transport), expected, strict=True):
        assert np.array_equal(vector, known)
        assert survivors == all_ == plan.cohort


LOST = {
    "silent": ("never", Reason.SILENT),
    "raised": (Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "boom"), Reason.FAILED),
    "unavailable": (Error(ErrorCode.NODE_UNAVAILABLE, "no heartbeat"), Reason.GONE),
    "expired": (Error(ErrorCode.MESSAGE_UNAVAILABLE, "too late"), Reason.GONE),
    "no bytes": (Message, Reason.FAILED),
}


@pytest.mark.parametrize(("reply", "reason"), LOST.values(), ids=LOST.keys())
def test_an_answer_is_lost_in_four_ways_that_are_told_apart_and_the_sum_is_exact(federate, reply, reason):
    plan = toys.plan(rounds=1)
    parties = federate(plan)
    seen = []

    def fault(group, name):
        return reply if (group, name) == ("mask", "client-2") and reply is not Message else None

    fake, transport = reached(parties, fault=fault)
    if reply is Message:
        plain = fake._answer
        fake._answer = lambda name, message: (
            Message(RecordDict({"message": ConfigRecord({"x": 1})}), reply_to=message)
            if (message.metadata.group_id, name) == ("mask", "client-2")
            else plain(name, message)
        )
    transport.find(plan.cohort, least=4, deadline=5)
    with parties.server(transport, observe=lambda *line: seen.append(line)) as server:
        object.__setattr__(server, "deadlines", SimpleNamespace(of=lambda _: 0.3, learn=lambda *_: None))
        (done,) = server.rounds()

    assert done.survivors == ("client-0", "client-1", "client-3", "client-4")
    (dropped,) = [exchange.dropped for _, phase, exchange in seen if phase == "mask"]
    assert {name: dropout.reason for name, dropout in dropped.items()} == {"client-2": reason}


def test_a_refusal_is_a_dropout_that_says_why(federate):
    parties = federate(toys.plan(rounds=1))
    _, transport = reached(parties)
    transport.find(parties.plan.cohort, least=5, deadline=5)
    found = transport.exchange("mask", {"client-1": b"give me data"}, nobody, deadline=1)

    assert found.dropped["client-1"].reason is Reason.REFUSED
    assert "OutOfTurn" in found.dropped["client-1"].detail


def test_a_client_that_comes_back_as_another_node_is_found_again(federate):
    parties = federate(toys.plan(rounds=2))
    fake, transport = reached(parties)
    transport.find(parties.plan.cohort, least=5, deadline=5)
    (number,) = [number for number, name in fake.nodes.items() if name == "client-3"]
    transport.exchange("reveal", {"client-3": b"?"}, nobody, deadline=1)
    fake.nodes[7] = fake.nodes.pop(number)

    assert all(survivors == parties.plan.cohort for _, survivors in ends(parties, transport))


def test_nobody_is_found_who_cannot_sign(federate):
    parties, strangers = federate(toys.plan(rounds=1)), federate(toys.plan(rounds=1), "strangers")
    parties.agents["client-0"] = strangers.agents["client-0"]
    parties.agents["client-1"] = SimpleNamespace(answer=lambda request: b"I am client-1")
    _, transport = reached(parties)

    assert transport.find(parties.plan.cohort, least=3, deadline=0.3) == ("client-2", "client-3", "client-4")
    with pytest.raises(ThresholdError, match="3 clients answered, 4 are needed"):
        transport.find(parties.plan.cohort, least=4, deadline=0.3)


def test_messages_do_not_outlive_their_phase(federate):
    parties = federate(toys.plan(rounds=1))
    fake, transport = reached(parties)
    transport.find(parties.plan.cohort, least=5, deadline=5)
    transport.exchange("mask", {"client-1": b"?"}, nobody, deadline=30)
    assert fake.pushed[-1].metadata.ttl == 30 + grid.GRACE


def test_no_more_is_pushed_or_pulled_at_once_than_a_portion(federate, monkeypatch):
    parties = federate(toys.plan(rounds=1))
    monkeypatch.setattr(grid, "PUSHED", 25)
    monkeypatch.setattr(grid, "PULLED", 2)
    fake, transport = reached(parties)
    transport.find(parties.plan.cohort, least=5, deadline=5)
    at_once = {"pushed": [], "pulled": []}
    for name in parties.agents:
        parties.agents[name] = SimpleNamespace(answer=lambda request: request + b"!")
    push, pull = fake.push_messages, fake.pull_messages
    fake.push_messages = lambda messages: at_once["pushed"].append(len(messages)) or push(messages)
    fake.pull_messages = lambda ids: at_once["pulled"].append(len(ids)) or pull(ids)
    kept = {}
    found = transport.exchange("mask", dict.fromkeys(parties.plan.cohort, b"ten bytes."), kept.__setitem__, deadline=5)

    assert kept == dict.fromkeys(parties.plan.cohort, b"ten bytes.!")
    assert at_once == {"pushed": [3, 2], "pulled": [2, 2, 1]}
    assert (found.sent, found.received) == (50, 55)


def test_an_answer_to_nothing_that_was_asked_is_not_listened_to(federate):
    parties = federate(toys.plan(rounds=1))
    fake, transport = reached(parties)
    transport.find(parties.plan.cohort, least=5, deadline=5)
    for name in parties.agents:
        parties.agents[name] = SimpleNamespace(answer=lambda request: b"here")
    pull = fake.pull_messages
    fake.pull_messages = lambda ids: 2 * pull(ids)
    kept = []
    transport.exchange("mask", {"client-1": b"?", "client-2": b"?"}, lambda *of: kept.append(of), deadline=5)

    assert sorted(kept) == [("client-1", b"here"), ("client-2", b"here")]


@pytest.mark.parametrize("size", [0, 1, 10**6])
def test_a_record_holds_any_message(size):
    message = seeded(1).bytes(size)
    assert unwrap(wrap(message)) == message


@pytest.mark.parametrize(
    "content",
    [
        RecordDict(),
        RecordDict({"message": ArrayRecord([np.zeros(3)])}),
        RecordDict({"message": ArrayRecord([np.zeros((2, 2), np.uint8)])}),
        RecordDict({"message": ConfigRecord({"a": 1})}),
    ],
)
def test_another_record_is_no_message(content):
    with pytest.raises(ProtocolError, match="one array of bytes"):
        unwrap(content)


def context(node=None, run=None):
    return SimpleNamespace(node_config=node or {}, run_config=run or {}, state=RecordDict())


def test_the_client_app_carries_to_the_agent_and_leaves_flowers_context_empty(tmp_path_factory, federate):
    parties = federate(toys.plan(rounds=1))
    path = Path(tmp_path_factory.mktemp("s")) / "0.sock"
    place = context({"agent": str(path)})
    message = Message(wrap(b"data, please"), dst_node_id=1, message_type="query.securefed")
    with behind(path, parties.agents["client-0"]):
        reply = client.courier(message, place)

    outcome = grid.outcome_of(reply)
    assert isinstance(outcome, Dropout)
    assert "OutOfTurn" in outcome.detail
    assert not place.state
    with pytest.raises(Unreachable, match="Is it running"):
        client.courier(message, place)


def test_the_client_app_knows_its_agent_from_the_node_and_in_a_simulation_from_the_run():
    assert client.agent_of(context({"agent": "/a.sock"}, {"agents": "/b"})) == Path("/a.sock")
    assert client.agent_of(context({"partition-id": 2}, {"agents": "/b"})) == Path("/b/2.sock")
    with pytest.raises(ConfigError, match="no agent is named"):
        client.agent_of(context({}, {"agents": ""}))


def test_the_example_app_is_the_one_that_deployments_use():
    folder = Path(__file__).parents[3] / "examples" / "flower_app"
    for name, text in app.FILES.items():
        assert (folder / name).read_text(encoding="utf-8") == text
