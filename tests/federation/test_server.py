"""A server that is killed in any phase continues where it was: same requests, same answers, nothing charged twice."""

import numpy as np
import pytest

from securefed.errors import ConfigError
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.memory import Memory
from securefed.federation.transport import Transport
from tests import toys
from tests.federation.parties import Federated

PHASES = ("advertise", "share", "mask", "agree")
MOMENTS = [(1, phase) for phase in PHASES] + [(2, phase) for phase in PHASES[2:]]
"""Rounds and their phases: keys are dealt in the first and serve the second."""


class Killed(BaseException):
    """The server's process ends here."""


class Dying(Transport):
    """Carries messages until, in a phase of a round, the server dies after some clients have been asked."""

    def __init__(self, parties, moment, asked):
        self.inner, self.moment, self.asked, self.masked = EmbeddedTransport(parties), moment, asked, 0

    def exchange(self, phase, requests, keep, *, deadline):
        self.masked += phase == "mask"
        if (max(self.masked, 1), phase) != self.moment:
            return self.inner.exchange(phase, requests, keep, deadline=deadline)
        self.inner.exchange(phase, dict(list(requests.items())[: self.asked]), keep, deadline=deadline)
        raise Killed


def end(parties, transport):
    with parties.server(transport) as server:
        return [each.state.adapter.vector() for each in server.rounds()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    parties = Federated(tmp_path_factory.mktemp("undisturbed"), toys.plan(rounds=2))
    ends = end(parties, EmbeddedTransport(parties.agents))
    parties.close()
    return ends


@pytest.mark.parametrize("asked", [0, 3, 5])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_server_killed_in_any_phase_ends_with_the_adapter_of_one_that_was_not(federate, undisturbed, moment, asked):
    parties = federate(toys.plan(rounds=2))
    with pytest.raises(Killed):
        end(parties, Dying(parties.agents, moment, asked))
    *_, last = end(parties, EmbeddedTransport(parties.agents))

    assert np.array_equal(last, undisturbed[-1])
    assert all(parties.charged(name) == [1, 2] for name in parties.plan.cohort)


@pytest.mark.parametrize("phase", PHASES)
def test_an_agent_killed_in_any_phase_drops_out_and_comes_back_in_the_next_round(federate, phase):
    parties = federate(toys.plan(rounds=2))
    left = iter([True])

    def fault(at, name):
        if (at, name) == (phase, "client-3") and next(left, False):
            parties.kill("client-3")

    transport = EmbeddedTransport(parties.agents, before=fault)
    with parties.server(transport) as server:
        done = list(server.rounds())

    killed_before_it_contributed = phase in ("share", "mask")
    assert ("client-3" not in done[0].survivors) == killed_before_it_contributed
    assert done[1].survivors == parties.plan.cohort
    assert parties.charged("client-3") == ([2] if killed_before_it_contributed else [1, 2])


def test_a_finished_run_has_nothing_left_to_do(federate):
    parties = federate(toys.plan(rounds=2))
    assert len(end(parties, EmbeddedTransport(parties.agents))) == 2
    assert end(parties, EmbeddedTransport({})) == []


def test_masked_vectors_are_on_the_servers_disk_no_longer_than_their_round(federate):
    parties = federate(toys.plan(rounds=2))
    with pytest.raises(Killed):
        end(parties, Dying(parties.agents, (2, "agree"), 0))
    assert [len(answers or ()) for answers in kept(parties)] == [5, 5, 5, 0, 0]

    end(parties, EmbeddedTransport(parties.agents))
    assert kept(parties) == [None] * 5


def kept(parties):
    with Memory(parties.folder / "server", digest=bytes.fromhex(parties.plan.digest), task="run") as memory:
        return [None if (answers := memory.answers(place)) is None else dict(answers) for place in range(5)]


ALONE = (*PHASES, "reveal")


@pytest.mark.parametrize(("rounds_per_deal", "phases"), [(1, (*ALONE, *ALONE)), (8, (*PHASES, "mask", "agree"))])
def test_rounds_between_deals_take_two_phases_instead_of_five_and_the_same_adapter_comes_out(
    federate, undisturbed, rounds_per_deal, phases
):
    parties = federate(toys.plan(rounds=2, rounds_per_deal=rounds_per_deal))
    seen = []
    transport = EmbeddedTransport(
        parties.agents, before=lambda phase, name: seen.append(phase) if name == "client-0" else None
    )

    assert np.array_equal(end(parties, transport)[-1], undisturbed[-1])
    assert seen == list(phases)


def test_a_server_that_is_started_again_between_two_rounds_goes_on_with_what_was_dealt(federate, undisturbed):
    parties = federate(toys.plan(rounds=3))
    with parties.server(EmbeddedTransport(parties.agents)) as server:
        next(server.rounds())
    phases = []
    transport = EmbeddedTransport(parties.agents, before=lambda phase, name: phases.append(phase))
    with parties.server(transport) as server:
        assert [each.survivors for each in server.rounds()] == [parties.plan.cohort] * 2
    assert set(phases) == set(PHASES[2:])


def test_a_memory_is_one_runs_alone(federate, tmp_path):
    parties = federate(toys.plan())
    digest = bytes.fromhex(parties.plan.digest)
    with Memory(tmp_path / "memory", digest=digest, task="one"), pytest.raises(ConfigError, match="another process"):
        Memory(tmp_path / "memory", digest=digest, task="one")
    for other in ({"digest": bytes(32), "task": "one"}, {"digest": digest, "task": "two"}):
        with pytest.raises(ConfigError, match="belongs to run 'one'"):
            Memory(tmp_path / "memory", **other)
