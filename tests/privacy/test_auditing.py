"""Audits: correct bounds, and audits of the whole mechanism that stay below its claim and find bugs of a factor two."""

import math

import numpy as np
import pytest
from scipy import stats

from securefed import rng
from securefed.encoding import FixedPoint
from securefed.errors import ConfigError
from securefed.privacy import accounting, auditing
from securefed.privacy.auditing import Errors, one_run_epsilon, one_run_guesses, paired, upper_rate
from securefed.privacy.clipping import Adjacency, clip_factors
from securefed.privacy.discrete import discrete_gaussian
from securefed.privacy.shares import SumOfShares

CLIP, CLIENTS, DELTA = 0.5, 4, 1e-5
DIM = 16
ENCODING = FixedPoint(bits=40, step=CLIP / 2**14, bound=50.0, summands=CLIENTS, noise_stddev=1e6)


def claim(noise_multiplier=1.0, dim=DIM):
    sensitivity = ENCODING.sensitivity(clip_norm=CLIP, dim=dim)
    return SumOfShares(
        sensitivity=sensitivity,
        share_stddev=accounting.share_stddev(noise_multiplier, sensitivity=sensitivity, honest_shares=CLIENTS),
        shares=CLIENTS,
        max_dropouts=0,
        max_colluders=0,
        dim=dim,
        unit="record",
        adjacency=Adjacency.ADD_OR_REMOVE_ONE,
    )


def release(records, event, source, *, clip=CLIP, noise=1.0):
    """One round in the plain: clip each record, quantise each client's sum, add the shares, decode."""
    factors = clip_factors(np.linalg.norm(records, axis=1), clip_norm=clip)
    total = sum(
        ENCODING.to_integers((factors[part, None] * records[part]).sum(axis=0))
        + discrete_gaussian(noise * event.share_stddev, event.dim, rng=source)
        for part in np.array_split(np.arange(len(records)), CLIENTS)
    )
    return ENCODING.decode(ENCODING.to_ring(total))


def paired_audit(**bug):
    """1,500 rounds with and without one large record; the attacker knows all others."""
    event, source = claim(), rng.seeded(5)
    others = source.generator().normal(size=(12, DIM))
    canary = np.zeros((1, DIM))
    canary[0, 3] = 100.0
    with_canary = np.concatenate([others, canary])
    factors = clip_factors(np.linalg.norm(others, axis=1), clip_norm=bug.get("clip", CLIP))
    known = float((factors * others[:, 3]).sum())
    out, inside = (
        np.array([release(records, event, source, **bug)[3] - known for _ in range(1500)])
        for records in (others, with_canary)
    )
    return paired(out, inside), event


def one_run(canaries=2000, **bug):
    """One round; every canary has a coordinate of its own and is in by a coin of its own."""
    event, source = claim(dim=canaries), rng.seeded(6)
    inside = source.uint64(canaries) % np.uint64(2) == 1
    released = release(np.eye(canaries)[inside] * 100.0, event, source, **bug)
    return released, inside, event


def test_a_correct_mechanism_stays_below_its_claim_and_not_far():
    errors, event = paired_audit()
    claimed = 1 / event.noise_multiplier("server")

    assert 0.6 * claimed < errors.mu() <= claimed
    assert errors.epsilon(delta=DELTA) <= accounting.epsilon([event], delta=DELTA, view="server")


@pytest.mark.parametrize("bug", [{"noise": 0.5}, {"clip": 2 * CLIP}], ids=["noise halved", "clipped at twice C"])
def test_a_bug_of_a_factor_two_is_found_by_the_paired_audit(bug):
    errors, event = paired_audit(**bug)
    claimed = accounting.epsilon([event], delta=DELTA, view="server")

    assert errors.mu() > 1.2 / event.noise_multiplier("server")
    assert auditing.epsilon_of_mu(errors.mu(), DELTA) > 1.2 * claimed
    # Rates alone, without the shape of the noise, would have missed it.
    assert errors.epsilon(delta=DELTA) < claimed


def test_canaries_of_one_run_stay_below_the_claim():
    released, inside, event = one_run()
    claimed = accounting.epsilon([event], delta=DELTA, view="server")
    correct = one_run_guesses(released, inside, guesses=200)

    found = one_run_epsilon(canaries=2000, guesses=200, correct=correct, delta=DELTA)
    assert 1.0 < found <= claimed
    assert paired(released[~inside], released[inside]).mu() <= 1 / event.noise_multiplier("server")


@pytest.mark.parametrize("bug", [{"noise": 0.5}, {"clip": 2 * CLIP}], ids=["noise halved", "clipped at twice C"])
def test_a_bug_of_a_factor_two_is_found_by_canaries_of_one_run(bug):
    released, inside, event = one_run(**bug)

    assert paired(released[~inside], released[inside]).mu() > 1.2 / event.noise_multiplier("server")


@pytest.mark.parametrize(("events", "trials"), [(0, 30), (3, 100), (50, 60)])
def test_the_upper_rate_is_that_of_clopper_and_pearson(events, trials):
    bound = upper_rate(events, trials, confidence=0.95)

    assert stats.binom.cdf(events, trials, bound) == pytest.approx(0.05)
    assert upper_rate(trials, trials, confidence=0.95) == 1.0


def test_bounds_hold_as_often_as_they_say():
    generator = np.random.default_rng(1)
    too_high = 0
    for _ in range(400):
        out, inside = generator.normal(size=400), generator.normal(size=400) + 1.0
        too_high += paired(out, inside).mu() > 1.0
    assert too_high <= 400 * 0.05


def test_no_errors_at_all_give_a_finite_bound():
    errors = Errors(false_positives=0, negatives=1000, false_negatives=0, positives=1000)

    assert 5 < errors.epsilon(delta=DELTA) < math.log(1000)
    assert 4 < errors.mu() < 8


def test_guesses_that_are_always_wrong_bound_nothing():
    errors = Errors(false_positives=50, negatives=50, false_negatives=50, positives=50)

    assert errors.epsilon(delta=DELTA) == errors.mu() == 0.0


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_the_one_run_bound_holds_for_randomised_response(epsilon):
    """The hardest mechanism: every canary's bit is reported truthfully with probability e^eps / (1 + e^eps)."""
    generator = np.random.default_rng(2)
    truth = 1 / (1 + math.exp(-epsilon))
    found = [
        one_run_epsilon(canaries=1000, guesses=1000, correct=int(generator.binomial(1000, truth)), delta=0.0)
        for _ in range(200)
    ]

    assert np.mean(np.array(found) > epsilon) <= 0.08
    assert np.mean(found) > 0.75 * epsilon


def test_a_larger_delta_explains_more_correct_guesses():
    results = [one_run_epsilon(canaries=1000, guesses=100, correct=95, delta=delta) for delta in (0.0, 1e-5, 1e-3)]

    assert results[0] > results[1] > results[2]


def test_guesses_are_taken_from_both_ends():
    scores, inside = np.arange(10.0), np.arange(10) >= 5

    assert one_run_guesses(scores, inside, guesses=6) == 6
    assert one_run_guesses(-scores, inside, guesses=6) == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda: one_run_epsilon(canaries=10, guesses=11, correct=5, delta=0.0),
        lambda: one_run_epsilon(canaries=10, guesses=5, correct=6, delta=0.0),
        lambda: Errors(false_positives=2, negatives=1, false_negatives=0, positives=1),
        lambda: paired(np.zeros(3), np.zeros(9)),
    ],
)
def test_results_that_no_experiment_gives_are_refused(ask):
    with pytest.raises(ConfigError):
        ask()
