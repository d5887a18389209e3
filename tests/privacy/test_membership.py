"""What a profile means for somebody who guesses: exact Gaussian values, and bounds for all other profiles."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from securefed.errors import ConfigError
from securefed.privacy import accounting
from securefed.privacy.clipping import Adjacency
from securefed.privacy.events import Sampling
from securefed.privacy.gaussian import CentralGaussian
from securefed.privacy.gdp import GaussianProfile
from securefed.privacy.membership import advantage, delta_curve, fitted_mu, tpr_at_fpr
from securefed.privacy.reading import UnknownEvent


def sampled(rate, rounds=100, noise_multiplier=1.0):
    event = CentralGaussian(
        sensitivity=1.0,
        stddev=noise_multiplier,
        unit="record",
        adjacency=Adjacency.ADD_OR_REMOVE_ONE,
        sampling=Sampling(rate=rate),
    )
    return accounting.profile([event] * rounds, view="server")


@pytest.mark.parametrize("mu", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("fpr", [0.001, 0.01, 0.5])
def test_the_true_positive_rate_is_that_of_the_best_test(mu, fpr):
    """Neyman and Pearson: Phi(Phi^-1(fpr) + mu) for two Gaussians."""
    best = norm.cdf(norm.ppf(fpr) + mu)

    assert best <= tpr_at_fpr(GaussianProfile(mu=mu), fpr) <= best * 1.01 + 1e-6


def test_no_better_test_than_guessing_without_any_query():
    assert tpr_at_fpr(GaussianProfile(mu=0.0), 0.01) == pytest.approx(0.01)
    assert advantage(GaussianProfile(mu=0.0)) == 0.0


def test_the_advantage_is_the_total_variation():
    assert advantage(GaussianProfile(mu=1.0)) == pytest.approx(2 * norm.cdf(0.5) - 1)


def test_the_curve_falls_from_the_advantage():
    profile = sampled(0.05)
    epsilons, deltas = delta_curve(profile)

    assert deltas[0] == advantage(profile)
    assert (np.diff(deltas) <= 0).all()
    assert profile.epsilon(float(deltas[50])) == pytest.approx(epsilons[50], rel=1e-3)


def test_a_fitted_gaussian_lies_above_the_profile():
    profile = sampled(0.05)
    mu = fitted_mu(profile)
    epsilons, deltas = delta_curve(profile)

    assert all(accounting.gaussian_delta(mu * (1 + 1e-6), float(e)) >= d for e, d in zip(epsilons, deltas, strict=True))
    assert mu < 10.0  # without amplification: sqrt(100)
    assert fitted_mu(GaussianProfile(mu=1.3)) == 1.3


def test_unknown_events_leave_nothing_to_hope_for():
    profile = accounting.profile([UnknownEvent("{}")], view="server")

    assert advantage(profile) == tpr_at_fpr(profile, 0.01) == 1.0
    assert fitted_mu(profile) == math.inf


@pytest.mark.parametrize("fpr", [-0.1, 1.1, float("nan")])
def test_a_rate_that_is_none_is_refused(fpr):
    with pytest.raises(ConfigError, match="fpr"):
        tpr_at_fpr(GaussianProfile(mu=1.0), fpr)
