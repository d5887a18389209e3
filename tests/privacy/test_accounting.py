"""Accounting: known values, other accountants, inverses, and the argument that makes integer shares a Gaussian."""

import json
import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting import pld
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from securefed.errors import ConfigError, VerificationError
from securefed.privacy import accounting, crosscheck, shares
from securefed.privacy.accounting import SumOfShares
from securefed.privacy.clipping import Adjacency
from securefed.privacy.gdp import GaussianProfile
from securefed.privacy.reading import read_event


def event(**changes):
    values = {
        "sensitivity": 1000.0,
        "share_stddev": 2000.0,
        "shares": 8,
        "max_dropouts": 2,
        "max_colluders": 1,
        "dim": 100,
        "unit": "record",
        "adjacency": Adjacency.ADD_OR_REMOVE_ONE,
    }
    return SumOfShares(**values | changes)


@pytest.mark.parametrize(("mu", "epsilon"), [(1.0, 1.0), (0.5, 1.0), (2.0, 4.0), (0.3, 0.1), (3.0, 0.0)])
def test_the_gaussian_profile_is_the_hockey_stick_divergence(mu, epsilon):
    """By numerical integration of max(p - e^eps q, 0), which the closed form never mentions."""
    grid = np.linspace(-14, 14, 400_001)
    p = np.exp(-((grid - mu) ** 2) / 2) / math.sqrt(2 * math.pi)
    q = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
    divergence = np.trapezoid(np.maximum(p - math.exp(epsilon) * q, 0), grid)

    assert accounting.gaussian_delta(mu, epsilon) == pytest.approx(divergence, rel=1e-6)


def test_the_gaussian_profile_has_its_published_value():
    # The most cited point of the curve: mu = 1 at epsilon = 1.
    assert accounting.gaussian_delta(1.0, 1.0) == pytest.approx(0.12693673750664397, rel=1e-12)


def test_an_extreme_epsilon_neither_overflows_nor_turns_negative():
    assert accounting.gaussian_delta(5.0, 2000.0) == 0.0
    assert accounting.gaussian_epsilon(60.0, 1e-5) == pytest.approx(60**2 / 2 + 60 * 4.26, rel=1e-2)


@settings(deadline=None, max_examples=40)
@given(st.floats(0.05, 20), st.floats(1e-9, 1e-3), st.integers(1, 500))
def test_calibration_is_the_inverse_of_epsilon(epsilon, delta, rounds):
    noise_multiplier = accounting.calibrate(epsilon=epsilon, delta=delta, rounds=rounds)
    reached = accounting.epsilon_gaussian(noise_multiplier, rounds=rounds, delta=delta)

    assert reached <= epsilon
    assert reached == pytest.approx(epsilon, rel=1e-6)


@settings(deadline=None, max_examples=8, phases=(Phase.explicit, Phase.generate))
@given(st.integers(1, 60), st.floats(2e2, 2e4), st.sampled_from([1e-6, 1e-5]))
def test_accountants_agree_within_their_theory(rounds, stddev, delta):
    found = crosscheck.cross_check([event(share_stddev=stddev)] * rounds, delta=delta, view="server")

    assert found["pld"] == pytest.approx(found["stated"], rel=2e-3, abs=2e-3)
    assert found["prv"] == pytest.approx(found["stated"], rel=2e-3, abs=2e-2)
    assert min(found["rdp"], found["renyi"]) >= found["stated"]


def test_disagreement_between_accountants_is_an_error(monkeypatch):
    monkeypatch.setattr(crosscheck, "epsilon", lambda *_, **__: 1.0)

    with pytest.raises(VerificationError, match="disagree"):
        crosscheck.cross_check([event()], delta=1e-5, view="server")


def test_different_events_compose():
    events = [event(share_stddev=3000.0), event(share_stddev=5000.0), event(share_stddev=5000.0)]
    composed = dp_accounting.ComposedDpEvent(
        [dp_accounting.GaussianDpEvent(each.noise_multiplier("coalition")) for each in events]
    )
    reference = pld.PLDAccountant().compose(composed).get_epsilon(1e-5)

    assert accounting.epsilon(events, delta=1e-5, view="coalition") == pytest.approx(reference, rel=1e-4)


def test_a_coalition_sees_more_than_the_server_and_dropouts_cost():
    both = [accounting.epsilon([event()] * 5, delta=1e-5, view=view) for view in ("server", "coalition")]
    fewer = accounting.epsilon([event(max_dropouts=3)] * 5, delta=1e-5, view="server")

    assert both[0] < both[1]
    assert fewer == pytest.approx(both[1])


def test_the_noise_multiplier_counts_only_shares_that_nobody_can_take_away():
    multiplier = event().noise_multiplier("coalition")

    assert multiplier == pytest.approx(math.sqrt(5) * 2.0, rel=1e-5)
    assert multiplier < math.sqrt(5) * 2.0


@given(st.floats(0.5, 50), st.floats(10, 1e6), st.integers(1, 100))
def test_share_stddev_is_the_inverse_of_the_noise_multiplier(noise_multiplier, sensitivity, honest):
    stddev = accounting.share_stddev(noise_multiplier, sensitivity=sensitivity, honest_shares=honest)
    shares = event(
        sensitivity=sensitivity, share_stddev=max(stddev, 30.0), shares=honest, max_dropouts=0, max_colluders=0
    )

    assert shares.noise_multiplier("coalition") >= noise_multiplier
    if stddev >= 30.0:
        assert shares.noise_multiplier("coalition") == pytest.approx(noise_multiplier, rel=1e-6)


def test_no_events_cost_nothing_and_unknown_ones_cost_everything():
    assert accounting.epsilon([], delta=1e-5, view="server") == 0.0
    assert accounting.epsilon([read_event({"mechanism": "hearsay"})], delta=1e-5, view="server") == math.inf


def mass(stddev, centre, support):
    weights = np.exp(-((support - centre) ** 2) / (2 * stddev**2))
    return weights / weights.sum()


@pytest.mark.parametrize("stddev", [2.5, 3.0, 5.0])
def test_the_discrete_gaussian_is_the_postprocessed_continuous_one_of_the_argument(stddev):
    """Step 2 of the module's text, by numerical integration, in one dimension."""
    support = np.arange(-80, 81)
    y = np.linspace(-80, 80, 320_001)
    sigma_1 = math.sqrt(stddev**2 - shares.RADIUS**2)
    density = np.exp(-(y**2) / (2 * sigma_1**2)) / (sigma_1 * math.sqrt(2 * math.pi))
    normaliser = sum(np.exp(-((k - y) ** 2) / (2 * shares.RADIUS**2)) for k in range(-110, 111))
    for x in (-7, -1, 0, 3):
        conditional = np.exp(-((x - y) ** 2) / (2 * shares.RADIUS**2)) / normaliser
        mixed = np.trapezoid(density * conditional, y)
        assert mixed == pytest.approx(mass(stddev, 0, support)[x + 80], rel=1e-9)


def test_the_sum_of_shares_has_the_declared_privacy_and_not_more():
    """Exact hockey-stick divergence of a one-dimensional sum of shares against the accountant's."""
    shares, stddev, shift, epsilon = 3, 6.0, 11, 1.0
    support = np.arange(-150, 151)
    one = mass(stddev, 0, support)
    total = np.convolve(np.convolve(one, one), one)
    moved = np.roll(total, shift)
    actual = np.maximum(moved - math.exp(epsilon) * total, 0).sum()
    spoken = event(sensitivity=float(shift), share_stddev=stddev, shares=shares, max_dropouts=0, max_colluders=0, dim=1)
    claimed = accounting.gaussian_delta(1 / spoken.noise_multiplier("server"), epsilon)

    assert actual <= claimed
    # Tight: a tenth less noise would break the claim.
    assert accounting.gaussian_delta(0.9 / spoken.noise_multiplier("server"), epsilon) < actual


@pytest.mark.parametrize(
    "changes",
    [
        {"share_stddev": 1.9},
        {"share_stddev": 0.0},
        {"sensitivity": math.inf},
        {"shares": 3},
        {"max_dropouts": -1},
        {"dim": 0},
    ],
    ids=str,
)
def test_an_event_that_cannot_be_accounted_for_is_refused(changes):
    with pytest.raises(ConfigError):
        event(**changes)


def test_an_event_survives_json():
    assert read_event(json.loads(json.dumps(event().to_json()))) == event()
    with pytest.raises(VerificationError):
        read_event({"mechanism": "discrete-gaussian-shares"})


def test_slack_covers_whatever_is_that_close_to_a_gaussian():
    """Push up every probability of one neighbour and down every one of the other, as far as the slack allows."""
    mu, slack = 1.0, 0.05
    grid = np.linspace(-12, 13, 100_001)
    step = grid[1] - grid[0]
    p, q = (np.exp(-((grid - centre) ** 2) / 2) / math.sqrt(2 * math.pi) * step for centre in (mu, 0.0))
    profile = GaussianProfile(mu=mu, slack=slack)
    for epsilon in (0.3, 1.0, 3.0):
        worst = np.maximum(math.exp(slack) * p - math.exp(epsilon - slack) * q, 0).sum()

        assert worst == pytest.approx(profile.delta(epsilon), rel=1e-4)
        assert worst > 1.01 * accounting.gaussian_delta(mu, epsilon)
        assert profile.epsilon(profile.delta(epsilon)) == pytest.approx(epsilon, rel=1e-9)


def test_calibration_to_mu_reaches_mu():
    noise_multiplier = accounting.calibrate_mu(mu=0.7, rounds=12)

    assert math.sqrt(12) / noise_multiplier == pytest.approx(0.7)
    with pytest.raises(ConfigError, match="mu"):
        accounting.calibrate_mu(mu=0.0, rounds=12)


def test_delta_is_the_inverse_of_epsilon():
    events = [event()] * 7
    epsilon = accounting.epsilon(events, delta=1e-5, view="coalition")

    assert accounting.delta(events, epsilon=epsilon, view="coalition") == pytest.approx(1e-5, rel=1e-9)
    assert accounting.delta([read_event({"mechanism": "hearsay"})], epsilon=100.0, view="server") == 1.0


def test_accountants_agree_where_nothing_is_left_to_pay():
    """With noise so large that the exact epsilon is zero, bounds of zero contradict nothing."""
    almost_nothing = event(share_stddev=1e7 * event().share_stddev)

    assert crosscheck.cross_check([almost_nothing], delta=1e-3, view="coalition")["stated"] < 1e-6
