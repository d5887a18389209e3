"""Bounds: each figure of the table is about its own delta."""

import pytest
from scipy.stats import norm

from securefed.reports.bounds import bounds
from tests import toys


def delta_of(mu, epsilon):
    """Balle and Wang 2018, Theorem 8, in the form of Dong, Roth and Su 2019, Corollary 1."""
    return norm.cdf(-epsilon / mu + mu / 2) - norm.sf(epsilon / mu + mu / 2) * 2.718281828459045**epsilon


def test_epsilon_is_stated_at_three_deltas_and_is_each_time_that_of_the_gaussian_profile():
    found = bounds(toys.plan().events, delta=1e-5)
    assert [float(delta) for delta in found["epsilon_at"]] == pytest.approx([1e-5, 1e-6, 1e-8])
    for delta, epsilon in found["epsilon_at"].items():
        assert delta_of(found["mu"], epsilon) == pytest.approx(float(delta), rel=0.02)
