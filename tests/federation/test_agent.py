"""What a hostile server, network or courier gets from an agent: refusals, and never a charge."""

from dataclasses import replace

import numpy as np
import pytest

from securefed.aggregation.identity import SERVER, Identity
from securefed.aggregation.masked_server import MaskedServer
from securefed.aggregation.policy import Policy
from securefed.aggregation.refusals import BadSignature, Malformed, PolicyViolation, Replay, WrongContext
from securefed.aggregation.session import Session
from securefed.errors import ConfigError, OutOfTurn, ProtocolError
from securefed.federation import greeting
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.opening import MAGIC, Opening
from securefed.federation.server import _Sum
from securefed.rng import secure
from securefed.rounds import deal_of, parameters_of
from tests import toys
from tests.federation.parties import RUN

NAME = "client-1"
PHASES = ("advertise", "share", "mask", "agree", "reveal")


@pytest.fixture
def parties(federate):
    return federate(toys.plan(rounds=2))


def opening(parties, *, name=NAME, signed_by=None, plan=None, threshold=None, vector=None, **changes):
    """The opening that a server would send, or one that it would not."""
    plan, adapter = plan or parties.plan, toys.adapter()
    values = {"round": 1, "attempt": 0, "deal": 1, "dealt": 0, "task": RUN, "previous": bytes(32)} | changes
    deal = deal_of(plan, first=1, attempt=values["attempt"]) if values["round"] == 1 else None
    public = parameters_of(
        plan, adapter, run=values["task"], number=values["round"], previous=values["previous"],
        attempt=values["attempt"], deal=deal,
    )  # fmt: skip
    if threshold is not None:
        public = replace(public, threshold=threshold)
    server = MaskedServer(Session(public, parties.members.roster), signed_by or parties.members.server)
    return Opening(
        plan=bytes.fromhex(plan.digest),
        kept=adapter.kept() if vector is None else {"vector": vector},
        frame=server.requests()[name],
        **values,
    )


def refused(parties, request, kind, message=None):
    with pytest.raises(kind, match=message):
        parties.agents[NAME].answer(request)
    assert not parties.charged(NAME)


def test_an_opening_is_what_its_bytes_say(parties):
    found = Opening.of(opening(parties, previous=b"p" * 32).to_bytes())
    assert (found.round, found.attempt, found.task, found.previous) == (1, 0, RUN, b"p" * 32)
    assert np.array_equal(found.kept["vector"], toys.adapter().vector())


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"threshold": 3}, WrongContext, None),
        ({"signed_by": Identity(SERVER, b"m" * 32)}, BadSignature, "not that of 'server'"),
        ({"name": "client-2"}, ProtocolError, None),
        ({"plan": toys.plan(rounds=2, seed=1)}, WrongContext, "another plan"),
        ({"round": 3}, WrongContext, "not one of the plan's 2"),
        ({"round": 0}, WrongContext, "not one of the plan's 2"),
        ({"vector": np.zeros(3)}, Malformed, "shape"),
        ({"vector": np.full(36, np.nan)}, Malformed, "finite"),
        ({"vector": np.zeros(36)}, WrongContext, None),
    ],
    ids=["threshold", "server", "client", "plan", "later", "earlier", "shape", "nan", "model"],
)  # fmt: skip
def test_an_opening_that_no_honest_server_sends_is_refused_and_nothing_is_charged(parties, changes, kind, message):
    refused(parties, opening(parties, **changes).to_bytes(), kind, message)


@pytest.mark.parametrize("field", ["round", "attempt", "task", "previous"])
def test_an_opening_changed_on_the_way_does_not_belong_to_its_plan(parties, field):
    value = {"round": 2, "attempt": 1, "task": "other", "previous": b"x" * 32}[field]
    refused(parties, replace(opening(parties), **{field: value}).to_bytes(), WrongContext)


@pytest.mark.parametrize("request_", [b"", b"SFED", MAGIC, MAGIC + b"\x87", b"GET /data", greeting.MAGIC + b"short"])
def test_what_is_no_message_is_refused(parties, request_):
    refused(parties, request_, ProtocolError)


def test_the_owners_floor_holds_whatever_the_server_signs(federate):
    parties = federate(toys.plan(rounds=2), policy=Policy(minimum_cohort=6))
    refused(parties, opening(parties).to_bytes(), PolicyViolation, "the cohort is 5")
    parties = federate(toys.plan(rounds=2), "tasks", policy=Policy(tasks=("another",)))
    refused(parties, opening(parties).to_bytes(), PolicyViolation, "names only another")


def test_a_client_asked_under_another_name_of_the_run_is_charged_within_its_budget_only(federate):
    parties = federate(toys.plan(rounds=1), policy=Policy(tasks=(RUN,)))
    refused(parties, opening(parties, task="again").to_bytes(), PolicyViolation, "names only run")


class Recorder:
    """An agent whose requests and answers are seen by whoever carries them."""

    def __init__(self, agent, seen):
        self.agent, self.seen = agent, seen

    def answer(self, request):
        self.seen.append((request, self.agent.answer(request)))
        return self.seen[-1][1]


def carried(parties):
    """Run one round and return the client's messages, phase by phase."""
    seen = []
    agents = parties.agents | {NAME: Recorder(parties.agents[NAME], seen)}
    with parties.server(EmbeddedTransport(agents)) as server:
        next(server.rounds())
    return seen


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("place", range(4))
def test_a_request_of_a_finished_round_gives_nothing_new(parties, place, restart):
    seen = carried(parties)
    if restart:
        parties.kill(NAME)
    request, answer = seen[place]
    if place == 3 and not restart:
        assert parties.agents[NAME].answer(request) == answer
    else:
        with pytest.raises(Replay if place == 0 and restart else OutOfTurn):
            parties.agents[NAME].answer(request)
    assert parties.charged(NAME) == [1]


def test_a_request_that_comes_twice_gets_the_same_answer_and_an_older_one_changes_nothing(parties):
    class Stutter:
        def __init__(self, agent):
            self.agent, self.earlier = agent, []

        def answer(self, request):
            first = self.agent.answer(request)
            assert self.agent.answer(request) == first
            for each in self.earlier:
                with pytest.raises(OutOfTurn):
                    self.agent.answer(each)
            self.earlier.append(request)
            return first

    agents = parties.agents | {NAME: Stutter(parties.agents[NAME])}
    with parties.server(EmbeddedTransport(agents)) as server:
        done = next(server.rounds())
    assert done.survivors == parties.plan.cohort
    assert parties.charged(NAME) == [1]


def test_a_second_unmask_with_other_survivors_is_refused(parties):
    """The server shows its survivors, then others: the agent answers for the first only."""
    requests, agents = {}, dict(parties.agents)
    with parties.server(EmbeddedTransport(agents)) as server:
        carried_sum = _Sum(server, 1, 0, None)
        role = carried_sum.role
        for place, phase in enumerate(PHASES[:3]):
            requests = role.requests()
            if place == 0:
                requests = carried_sum._opening.with_each(requests)
            if phase == "mask":
                break
            role.collect({name: agents[name].answer(request) for name, request in requests.items()})
        answers = {name: agents[name].answer(request) for name, request in requests.items()}
        mask = role._state
        shown = []
        for gone in ("client-3", "client-4"):
            state = mask.collect({name: answer for name, answer in answers.items() if name != gone})
            shown.append(state.requests()[NAME])

    assert parties.agents[NAME].answer(shown[0])
    with pytest.raises(ProtocolError):
        parties.agents[NAME].answer(shown[1])


def test_a_greeting_tells_who_is_there_and_convinces_nobody_else(parties):
    roster, question = parties.members.roster, greeting.challenge(secure().bytes(32))
    answer = parties.agents[NAME].answer(question)

    assert greeting.recognise(question, answer, roster) == NAME
    assert greeting.recognise(greeting.challenge(bytes(32)), answer, roster) is None
    assert greeting.recognise(question, answer[:-1] + b"x", roster) is None
    assert greeting.recognise(question, answer.replace(b"client-1", b"client-2"), roster) is None
    assert greeting.recognise(question, b"hello", roster) is None
    assert greeting.recognise(question, answer, replace(roster, server=bytes(32))) is None  # in another federation


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"secure": "plain"}, "nothing in the clear"),
        ({"sampling": "shuffled", "sampling_rate": 0.5}, "does not outlive"),
    ],
)
def test_an_agent_does_not_serve_every_plan(federate, changes, message):
    with pytest.raises(ConfigError, match=message):
        federate(toys.plan(rounds=2, **changes))


def test_an_owners_clip_norm_holds(federate):
    with pytest.raises(PolicyViolation, match="the clip norm is"):
        federate(toys.plan(), policy=Policy(clip_norm=0.1))
