"""A server that is killed in any phase continues where it was: same requests, same answers, nothing charged twice."""

import numpy as np
import pytest

from securefed.errors import ConfigError
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.memory import Memory
from securefed.federation.transport import Transport
from tests import toys
from tests.federation.parties import Federated

PHASES = ("advertise", "share", "mask", "agree", "reveal")


class Killed(BaseException):
    """The server's process ends here."""


class Dying(Transport):
    """Carries messages until, in a phase of the second round, the server dies after some clients have been asked."""

    def __init__(self, parties, phase, asked):
        self.inner, self.phase, self.asked, self.openings = EmbeddedTransport(parties), phase, asked, 0

    def exchange(self, phase, requests, *, deadline):
        self.openings += phase == "advertise"
        if (phase, self.openings) != (self.phase, 2):
            return self.inner.exchange(phase, requests, deadline=deadline)
        self.inner.exchange(phase, dict(list(requests.items())[: self.asked]), deadline=deadline)
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
@pytest.mark.parametrize("phase", PHASES)
def test_a_server_killed_in_any_phase_ends_with_the_adapter_of_one_that_was_not(federate, undisturbed, phase, asked):
    parties = federate(toys.plan(rounds=2))
    with pytest.raises(Killed):
        end(parties, Dying(parties.agents, phase, asked))
    (last,) = end(parties, EmbeddedTransport(parties.agents))

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
        end(parties, Dying(parties.agents, "agree", 0))
    assert [len(answers or ()) for answers in kept(parties)] == [5, 5, 5, 0, 0]

    end(parties, EmbeddedTransport(parties.agents))
    assert kept(parties) == [None] * 5


def kept(parties):
    with Memory(parties.folder / "server", digest=bytes.fromhex(parties.plan.digest), task="run") as memory:
        return [memory.answers(place) for place in range(5)]


def test_a_memory_is_one_runs_alone(federate, tmp_path):
    parties = federate(toys.plan())
    digest = bytes.fromhex(parties.plan.digest)
    with Memory(tmp_path / "memory", digest=digest, task="one"), pytest.raises(ConfigError, match="another process"):
        Memory(tmp_path / "memory", digest=digest, task="one")
    for other in ({"digest": bytes(32), "task": "one"}, {"digest": digest, "task": "two"}):
        with pytest.raises(ConfigError, match="belongs to run 'one'"):
            Memory(tmp_path / "memory", **other)
