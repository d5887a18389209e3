"""Filters: exact where possible, refusing what they cannot add up, and never above the budget."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.errors import ConfigError, LedgerError
from securefed.privacy import accounting, filters
from securefed.privacy.clipping import Adjacency
from securefed.privacy.events import Sampling
from securefed.privacy.filters import GaussianFilter, RenyiFilter, filter_of
from securefed.privacy.gaussian import CentralGaussian
from securefed.privacy.reading import UnknownEvent
from securefed.privacy.shares import SkellamShares, SumOfShares

BUDGET = {"epsilon": 4.0, "delta": 1e-5}


def central(noise_multiplier, **sampling):
    return CentralGaussian(
        sensitivity=1.0,
        stddev=noise_multiplier,
        unit="record",
        adjacency=Adjacency.ADD_OR_REMOVE_ONE,
        sampling=Sampling(**sampling),
    )


def shares(kind, **changes):
    values = {
        "sensitivity": 100.0,
        "share_stddev": 400.0,
        "shares": 4,
        "max_dropouts": 1,
        "max_colluders": 1,
        "dim": 10,
        "unit": "record",
        "adjacency": Adjacency.ADD_OR_REMOVE_ONE,
    }
    return kind(**values | changes)


@settings(deadline=None, max_examples=60)
@given(st.floats(0.01, 20), st.floats(1e-9, 1e-3), st.integers(1, 300))
def test_a_calibrated_schedule_fits_its_budget_exactly_once(epsilon, delta, rounds):
    event = central(accounting.calibrate(epsilon=epsilon, delta=delta, rounds=rounds))
    budget = GaussianFilter(epsilon=epsilon, delta=delta)

    assert budget.admits([event] * rounds)
    assert not budget.admits([event] * rounds + [central(1e4 / epsilon)])


@settings(deadline=None, max_examples=20)
@given(st.floats(0.2, 10), st.sampled_from([0.01, 0.1, 0.5]), st.integers(1, 300))
def test_a_calibrated_sampled_schedule_fits_and_its_report_lies_below(epsilon, rate, rounds):
    event = central(accounting.calibrate(epsilon=epsilon, delta=1e-5, rounds=rounds, rate=rate), rate=rate)
    budget = RenyiFilter(epsilon=epsilon, delta=1e-5)

    assert budget.admits([event] * rounds)
    assert budget.spent([event] * rounds) == pytest.approx(epsilon, rel=1e-6)
    assert not budget.admits([central(0.999 * event.stddev, rate=rate)] * rounds)
    assert accounting.epsilon([event] * rounds, delta=1e-5, view="server") <= epsilon


@pytest.mark.parametrize("rounds", [1, 20])
def test_what_a_filter_admits_is_within_budget_by_every_accountant(rounds):
    for budget in (GaussianFilter(**BUDGET), RenyiFilter(**BUDGET)):
        low = next(n for n in range(1, 400) if budget.admits([central(n / 10)] * rounds)) / 10

        assert accounting.epsilon([central(low)] * rounds, delta=1e-5, view="server") <= 4.0
        assert budget.spent([central(low)] * rounds) <= 4.0 < budget.spent([central(low - 0.1)] * rounds)


def test_slack_has_a_limit_of_its_own(monkeypatch):
    """However much is left of mu: otherwise a choice of events could trade one for the other."""
    small = shares(SumOfShares, share_stddev=2.4, sensitivity=1e-4, dim=1)
    monkeypatch.setattr(filters, "SLACK_CAP", 1.5 * small.slack("coalition"))
    budget = GaussianFilter(**BUDGET)

    assert budget.admits([small])
    assert not budget.admits([small, small])
    assert budget.spent([small, small]) < 0.01


@pytest.mark.parametrize("name", ["gaussian", "renyi", "renyi-8"])
def test_events_and_how_often_each_was_charged_are_the_same(name):
    """A ledger gives counts: equal events must cost as often as they were charged."""
    found, events = filter_of(name, **BUDGET), [central(5.0)] * 3 + [central(7.0)]

    assert found.spent(Counter(events)) == found.spent(events) > found.spent(set(events))
    assert [found.admits(each) for each in (900 * events, Counter(900 * events), set(events))] == [False, False, True]


def test_nothing_spent_is_nothing():
    assert GaussianFilter(**BUDGET).spent([]) == RenyiFilter(**BUDGET).spent([]) == 0.0


@pytest.mark.parametrize(
    "event", [central(2.0, rate=0.1), shares(SkellamShares), UnknownEvent("{}")], ids=lambda event: event.mechanism
)
def test_the_exact_filter_refuses_what_it_cannot_add_up(event):
    with pytest.raises(LedgerError, match="renyi"):
        GaussianFilter(**BUDGET).accepts(event)
    assert not GaussianFilter(**BUDGET).admits([event])


def test_the_renyi_filter_takes_every_kind_of_event_and_admits_no_unknown_one():
    budget = RenyiFilter(**BUDGET)
    for event in (central(2.0, rate=0.1), shares(SkellamShares), shares(SumOfShares)):
        budget.accepts(event)
        assert budget.admits([event])
    assert not budget.admits([UnknownEvent('{"mechanism": "hearsay"}')])


def test_the_order_does_not_depend_on_what_was_spent():
    """Taking the best order for each history would admit what no proof covers."""
    budget = RenyiFilter(**BUDGET)
    history = [central(0.7, rate=0.001)] * 5000
    curve = accounting.renyi_curve(history, view="coalition")

    assert budget.spent(history) == pytest.approx(float(curve[budget.budget.place]) + budget.budget.price)


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_an_order_made_for_the_plan_saves_noise(rate):
    asked = {"epsilon": 4.0, "delta": 1e-5, "rounds": 200, "rate": rate}
    order = accounting.best_order(**asked)
    noise = accounting.calibrate(**asked, order=order)
    schedule = [central(noise, rate=rate)] * 200

    assert noise <= min(accounting.calibrate(**asked, order=other) for other in (0, order + 1, 2 * order)) * (1 + 1e-9)
    assert filter_of(f"renyi-{order}", **BUDGET).admits(schedule)
    assert accounting.epsilon(schedule, delta=1e-5, view="server") <= 4.0


def test_an_order_whose_price_is_above_the_budget_is_refused():
    with pytest.raises(ConfigError, match="room for nothing"):
        filter_of("renyi-2", **BUDGET)
    with pytest.raises(ConfigError, match="room for nothing"):
        accounting.calibrate(epsilon=0.001, delta=1e-9, rounds=1, rate=0.1)


@pytest.mark.parametrize("name", ["", "pld", "renyi-", "renyi-1", "renyi-x", "gaussian-2"])
def test_a_filter_without_a_proof_is_refused(name):
    with pytest.raises(ConfigError, match=r"filter|order"):
        filter_of(name, epsilon=1.0, delta=1e-5)


@pytest.mark.parametrize("rate", [0.0, 1.5, -1.0])
def test_calibration_refuses_a_rate_that_is_none(rate):
    with pytest.raises(ConfigError, match="rate"):
        accounting.calibrate(epsilon=1.0, delta=1e-5, rounds=1, rate=rate)
