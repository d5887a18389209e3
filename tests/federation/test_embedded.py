"""A run over the embedded transport: bit-equal to the executable specification, whoever is lost when."""

import numpy as np
import pytest

from securefed.errors import ThresholdError
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.transport import Dropout, Reason
from securefed.privacy.ledger import Ledger
from securefed.rounds import ServerState, run_round
from tests import toys
from tests.federation.parties import RUN, repeatable

PHASES = ("advertise", "share", "mask", "agree", "reveal")
GONE = Dropout(Reason.GONE, "pulled the plug")


def specified(plan, folder, *, lost=lambda *_: False):
    """Adapters after each round of the executable specification, and who survived."""
    state, ends = ServerState.initial(toys.adapter()), []
    books = {
        name: Ledger.open(
            folder / f"{name}.specified", dataset=name, budget_epsilon=plan.epsilon, budget_delta=plan.delta
        )
        for name in plan.cohort
    }
    for number in range(1, plan.rounds + 1):
        clients = toys.clients(plan, books)
        done = run_round(plan, state, clients, run=RUN, number=number, rng=repeatable, lost=lost)
        state = done.state
        ends.append((state.adapter.vector(), done.survivors))
    for book in books.values():
        book.close()
    return ends


def equal(found, expected):
    return all(
        np.array_equal(one.state.adapter.vector(), vector) and one.survivors == survivors
        for one, (vector, survivors) in zip(found, expected, strict=True)
    )


def test_a_run_over_the_embedded_transport_is_bit_equal_to_the_specification(federate, tmp_path):
    plan = toys.plan(momentum=0.5)
    parties = federate(plan)
    with parties.server(EmbeddedTransport(parties.agents)) as server:
        done = list(server.rounds())

    assert equal(done, specified(plan, tmp_path))
    assert all(parties.charged(name) == [1, 2, 3] for name in plan.cohort)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_client_that_is_lost_in_any_phase_leaves_an_exact_sum(federate, tmp_path, phase, side):
    plan = toys.plan(rounds=1)
    parties = federate(plan)

    def fault(at, name):
        return GONE if (at, name) == (phase, "client-2") else None

    with parties.server(EmbeddedTransport(parties.agents, **{side: fault})) as server:
        done = list(server.rounds())

    assert equal(done, specified(plan, tmp_path, lost=lambda at, name: (at, name) == (phase, "client-2")))
    contributed = phase in ("agree", "reveal") or (phase, side) == ("mask", "after")
    assert parties.charged("client-2") == ([1] if contributed else [])


def test_clients_come_and_go_and_the_run_goes_on(federate):
    plan = toys.plan(rounds=3)
    parties = federate(plan)
    seen = []

    def fault(phase, name):
        # A different client is away in every round; the one of the round before is back.
        return GONE if name == f"client-{len(done)}" else None

    done = []
    transport = EmbeddedTransport(parties.agents, before=fault)
    with parties.server(transport, observe=lambda *line: seen.append(line)) as server:
        for each in server.rounds():
            done.append(each)

    everybody = set(plan.cohort)
    assert [everybody - set(each.survivors) for each in done] == [{"client-0"}, {"client-1"}, {"client-2"}]
    first = next(exchange for _, phase, exchange in seen if phase == "advertise")
    assert first.dropped == {"client-0": GONE}


def test_below_the_floor_before_anybody_contributed_the_round_is_attempted_again_at_no_cost(federate, tmp_path):
    plan = toys.plan(rounds=1)
    parties = federate(plan)
    lost = iter([True, True, False, False])

    def fault(phase, name):
        return GONE if phase == "share" and name in ("client-0", "client-1") and next(lost) else None

    with parties.server(EmbeddedTransport(parties.agents, before=fault)) as server:
        done = list(server.rounds())
    assert equal(done, specified(plan, tmp_path))
    assert all(parties.charged(name) == [1] for name in plan.cohort)


def test_below_the_floor_again_and_again_the_run_is_given_up(federate):
    plan = toys.plan(rounds=1)
    parties = federate(plan)
    asked = []

    def fault(phase, name):
        asked.append((phase, name))
        return GONE if name in ("client-0", "client-1") else None

    transport = EmbeddedTransport(parties.agents, before=fault)
    with parties.server(transport) as server, pytest.raises(ThresholdError, match="3 clients answered, 4 are needed"):
        list(server.rounds())
    assert len(asked) == 3 * plan.clients
    assert not any(parties.charged(name) for name in plan.cohort)


def test_below_the_floor_after_clients_have_contributed_the_run_is_given_up_at_once(federate):
    plan = toys.plan(rounds=1)
    parties = federate(plan)
    asked = []

    def fault(phase, name):
        asked.append(phase)
        return GONE if phase == "mask" and name in ("client-0", "client-1") else None

    transport = EmbeddedTransport(parties.agents, before=fault)
    with parties.server(transport) as server, pytest.raises(ThresholdError, match="3 clients answered, 4 are needed"):
        list(server.rounds())
    assert asked.count("advertise") == plan.clients
    assert not parties.charged("client-0")
    assert parties.charged("client-4") == [1]
