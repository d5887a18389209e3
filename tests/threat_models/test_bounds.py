"""What theory allows, against closed forms; intervals, against their definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from securefed.errors import ConfigError
from securefed.privacy.gdp import GaussianProfile
from securefed.threat_models.bounds import identification_success, interval, membership_success

mus = st.floats(0.05, 6.0)


@given(mu=mus)
def test_membership_of_a_gaussian_succeeds_with_phi_of_half_mu(mu):
    assert membership_success(GaussianProfile(mu=mu)) == pytest.approx(norm.cdf(mu / 2), abs=1e-9)


@given(mu=mus, candidates=st.integers(2, 2000))
def test_identification_of_a_gaussian_succeeds_with_phi_of_the_prior_shifted_by_mu(mu, candidates):
    exact = norm.cdf(norm.ppf(1 / candidates) + mu)
    bound = identification_success(GaussianProfile(mu=mu), candidates)

    assert exact - 1e-9 <= bound <= exact * 1.01 + 1e-6


@given(trials=st.integers(1, 400), share=st.floats(0, 1))
def test_the_interval_is_that_of_clopper_and_pearson(trials, share):
    successes = round(share * trials)
    low, high = interval(successes, trials)

    assert 0 <= low <= successes / trials <= high <= 1
    if successes:
        assert binom.sf(successes - 1, trials, low) == pytest.approx(0.025, abs=1e-9)
    if successes < trials:
        assert binom.cdf(successes, trials, high) == pytest.approx(0.025, abs=1e-9)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (0, 0), (-1, 3), (4, 3)])
def test_counts_that_are_no_result_are_refused(successes, trials):
    with pytest.raises(ConfigError, match="no result"):
        interval(successes, trials)


def test_no_candidates_are_refused():
    with pytest.raises(ConfigError, match="candidates is 0"):
        identification_success(GaussianProfile(mu=1.0), 0)
