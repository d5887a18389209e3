"""Rényi costs: formulas against other implementations and against numerical integration, and their conversion."""

import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting import rdp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from securefed.privacy import renyi
from securefed.privacy.gdp import gaussian_delta, gaussian_epsilon
from securefed.privacy.renyi import ORDERS, RenyiBudget, RenyiProfile


def divergence(p, q, order):
    return math.log(np.sum(np.exp(order * np.log(p) + (1 - order) * np.log(q)))) / (order - 1)


@pytest.mark.parametrize(("noise_multiplier", "rate"), [(1.0, 0.01), (0.6, 0.2), (4.0, 0.5), (1.0, 1.0)])
def test_the_sampled_gaussian_costs_what_dp_accounting_says(noise_multiplier, rate):
    accountant = rdp.RdpAccountant(orders=ORDERS.tolist())
    accountant.compose(dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise_multiplier)))

    assert renyi.sampled_gaussian(noise_multiplier, rate) == pytest.approx(accountant.rdp, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("order", [2, 3, 8])
def test_the_sampled_gaussian_bounds_both_directions(order):
    x = np.linspace(-30, 30, 60_001)
    step = x[1] - x[0]
    without = stats.norm.pdf(x, 0, 1.5) * step
    sampled = 0.8 * without + 0.2 * stats.norm.pdf(x, 1, 1.5) * step
    cost = renyi.sampled_gaussian(1.5, 0.2)[order == ORDERS][0]

    assert divergence(sampled, without, order) == pytest.approx(cost, rel=1e-6)
    assert divergence(without, sampled, order) <= cost


@pytest.mark.parametrize(("stddev", "shift"), [(1.5, 1), (3.0, 1), (4.0, 4), (12.0, 1), (12.0, 4)])
def test_skellam_costs_at_least_its_exact_divergence_and_not_much_more(stddev, shift):
    support = np.arange(-200, 201)
    half = stddev**2 / 2
    p, q = (stats.skellam.pmf(support - moved, half, half) for moved in (shift, 0))
    seen = (p > 0) & (q > 0)
    bound = renyi.skellam(l1=shift, l2=shift, variance=stddev**2)
    for order in (2, 4, 8):
        exact = divergence(p[seen], q[seen], order)
        assert exact <= bound[order == ORDERS][0] <= 3 * exact


@pytest.mark.parametrize(
    ("l1", "l2", "variance", "order", "cost"),
    [
        # a l2^2 / (2v) = 1/2; the two terms: (3 * 1 + 6 * 1) / (4 * 4) = 9/16 and 3 * 1 / (2 * 2) = 3/4.
        (1.0, 1.0, 2.0, 2, 1 / 2 + 9 / 16),
        # 3 * 4 / 200 = 0.06; (5 * 4 + 6 * 4) / 40,000 = 0.0011 and 3 * 4 / 200 = 0.06.
        (4.0, 2.0, 100.0, 3, 0.06 + 0.0011),
        # 32 * 9 / 18 = 16; (63 * 9 + 6 * 9) / 324 > 3 * 9 / 18 = 1.5.
        (9.0, 3.0, 9.0, 32, 16 + 1.5),
    ],
)
def test_skellam_costs_have_their_values_by_hand(l1, l2, variance, order, cost):
    """The terms beyond the Gaussian's are the theorem's; no divergence computed here needs them."""
    assert renyi.skellam(l1=l1, l2=l2, variance=variance)[order == ORDERS][0] == pytest.approx(cost)


def test_large_skellam_costs_what_a_gaussian_does():
    assert renyi.skellam(l1=1e4, l2=100.0, variance=1e8) == pytest.approx(renyi.gaussian(100.0), rel=1e-3)


@given(st.floats(0.3, 30), st.floats(1e-8, 1e-3))
def test_the_conversion_lies_above_the_exact_gaussian(noise_multiplier, delta):
    bound = RenyiProfile(renyi.gaussian(noise_multiplier)).epsilon(delta)
    exact = gaussian_epsilon(1 / noise_multiplier, delta)

    assert exact <= bound
    assert bound <= 1.5 * exact + 0.2


@given(st.floats(0.5, 30), st.floats(1e-8, 1e-3))
def test_conversion_to_epsilon_and_to_delta_are_inverse(noise_multiplier, delta):
    profile = RenyiProfile(renyi.gaussian(noise_multiplier))
    epsilon = profile.epsilon(delta)

    if epsilon:
        assert profile.delta(epsilon) == pytest.approx(delta, rel=1e-9)
    assert profile.delta(epsilon + 1) >= gaussian_delta(1 / noise_multiplier, epsilon + 1)


@settings(deadline=None)
@given(st.floats(0.05, 50), st.floats(1e-9, 1e-3))
def test_the_order_of_a_budget_follows_from_the_budget_and_loses_little(epsilon, delta):
    budget = RenyiBudget(epsilon=epsilon, delta=delta)
    best = (epsilon - renyi.price(delta)) / ORDERS

    assert budget.largest / ORDERS[budget.place] == best.max()
    assert budget.largest + budget.price == pytest.approx(epsilon)


def test_being_almost_another_mechanism_has_its_price_at_every_order():
    """p within exp(+-s) of p', q of q': the divergence moves by at most slack_of(s)."""
    generator = np.random.default_rng(1)
    slack = 0.05
    for _ in range(50):
        p, q = (generator.dirichlet(np.ones(6)) + 1e-3 for _ in range(2))
        p, q = p / p.sum(), q / q.sum()
        moved = [v * np.exp(generator.uniform(-slack / 2, slack / 2, 6)) for v in (p, q)]
        moved = [v / v.sum() for v in moved]
        for place, order in enumerate(ORDERS[:8]):
            assert divergence(*moved, order) <= divergence(p, q, order) + renyi.slack_of(slack)[place]
