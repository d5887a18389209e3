"""Whoever leaves, whenever: the exact sum of those who stay, or a named end."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from securefed.aggregation import unmasking
from securefed.aggregation.audit.rig import ANSWERS, Rig
from securefed.aggregation.parameters import default_threshold
from securefed.errors import ThresholdError

PHASES = tuple(ANSWERS)
NAMES = tuple(f"client-{number}" for number in range(7))


def snapshot(rig: Rig):
    """States are immutable but for the hands in them, so a run can be continued from one moment many times."""
    return rig.state, {name: rig.mind(name) for name in rig.clients}


def restore(rig: Rig, moment) -> None:
    rig.server._state, minds = moment
    for name, state in minds.items():
        hand = {"hand": copy.copy(state.hand)} if hasattr(state, "hand") else {}
        rig.clients[name]._state = replace(state, **hand)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("clients", [3, 4, 5, 6, 7])
def test_every_subset_may_leave_in_every_phase(clients, phase):
    """Exhaustive: all subsets of 3 to 7 clients in each phase."""
    rig = Rig(clients, dim=2)
    rig.run_until(phase)
    moment, names = snapshot(rig), tuple(rig.clients)
    for count in range(clients + 1):
        for gone in itertools.combinations(names, count):
            restore(rig, moment)
            outcome = rig.run(
                answer=lambda at, name, data, gone=gone: None if (at, name in gone) == (phase, True) else data
            )
            if clients - count < default_threshold(clients):
                assert isinstance(outcome.error, ThresholdError), (gone, outcome.describe())
                continue
            expected = tuple(name for name in names if name not in gone or phase in ("agree", "reveal"))
            assert outcome.error is None, (gone, outcome.describe())
            assert outcome.exact
            assert outcome.survivors == expected


@pytest.mark.parametrize("at_once", [1, 2, 7, 8, 100])
def test_masks_come_off_in_any_number_of_goes(at_once, monkeypatch):
    """Seven clients of whom two leave: five self masks, and five pairwise masks of each who left."""
    monkeypatch.setattr(unmasking, "AT_ONCE", at_once)
    outcome = Rig(7, dim=2).run(answer=lambda at, name, data: None if at == "mask" and name in NAMES[:2] else data)

    assert outcome.error is None, outcome.describe()
    assert outcome.exact
    assert outcome.survivors == NAMES[2:]


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(PHASES, 2)))
def test_any_two_of_seven_may_leave_one_after_the_other(first, second):
    """Exhaustive: every ordered pair, in every two phases; two is as many as seven tolerate."""
    rig = Rig(7, dim=2)
    rig.run_until(first)
    moment, names = snapshot(rig), tuple(rig.clients)
    for early in names:
        restore(rig, moment)
        rig.run_until(second, lost={(first, early)})
        between = snapshot(rig)
        for late in set(names) - {early}:
            restore(rig, between)
            outcome = rig.run(answer=lambda at, name, data, late=late: None if (at, name) == (second, late) else data)
            leaving = {early: first, late: second}
            assert outcome.error is None, (leaving, outcome.describe())
            assert outcome.exact
            assert outcome.survivors == tuple(
                name for name in names if leaving.get(name, "reveal") in ("agree", "reveal")
            )


@settings(max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
class Leaving(RuleBasedStateMachine):
    """Clients leave, are late, or send rubbish at any time; the sum goes on as long as it can."""

    @initialize(clients=st.integers(3, 30))
    def begin(self, clients):
        self.start(clients)

    def start(self, clients):
        self.rig = Rig(clients, dim=2)
        self.gone: set[str] = set()
        self.bent: set[str] = set()
        self.error: ThresholdError | None = None

    def going(self) -> bool:
        return self.error is None and self.rig.server.phase != "done"

    @precondition(lambda self: not self.going())
    @rule(clients=st.integers(3, 30))
    def again(self, clients):
        self.start(clients)

    @precondition(lambda self: self.going())
    @rule(data=st.data(), bend=st.booleans())
    def trouble(self, data, bend):
        present = sorted(set(self.rig.server.requests()) - self.gone)
        if present:
            (self.bent if bend else self.gone).add(data.draw(st.sampled_from(present)))

    @precondition(lambda self: self.going())
    @rule()
    def step(self):
        answers = {}
        for name, request in self.rig.server.requests().items():
            if name not in self.gone:
                answer = self.rig.clients[name].answer(request)
                answers[name] = answer[:-100] + bytes(100) if name in self.bent else answer
        self.gone |= self.bent
        self.bent = set()
        try:
            self.rig.server.collect(answers)
        except ThresholdError as error:
            self.error = error

    @invariant()
    def an_end_has_a_reason(self):
        if getattr(self, "error", None) is not None:
            assert self.error.survivors < self.error.threshold

    @invariant()
    def a_sum_is_exact(self):
        if hasattr(self, "rig") and self.rig.server.phase == "done":
            assert self.rig.is_exact(self.rig.server.total(), self.rig.server.survivors)
            assert len(self.rig.server.survivors) >= self.rig.parameters.threshold

    def teardown(self):
        while hasattr(self, "rig") and self.going():
            self.step()
        if hasattr(self, "rig"):
            self.a_sum_is_exact()


TestLeaving = Leaving.TestCase


def test_a_large_cohort_sums_along_a_sparse_graph():
    """150 clients, ten of whom leave at each of two phases that they may leave in."""
    rig = Rig(150, dim=3)
    assert rig.session.topology.degree < 149
    gone = {"share": set(list(rig.clients)[10:15]), "mask": set(list(rig.clients)[40:45]), "reveal": {"client-7"}}

    outcome = rig.run(answer=lambda phase, name, data: None if name in gone.get(phase, ()) else data)

    assert outcome.exact
    assert outcome.error is None
    assert len(outcome.survivors) == 140
