"""The rules: controls decide whether a row says anything, bounds and limits what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from securefed.errors import ConfigError
from securefed.threat_models.adversaries import CURIOUS_SERVER
from securefed.threat_models.game import Arm, Measured, Row, Verdict, judge, play_row, rate

CONTROL = Arm(defences="none", claim="control", limit=0.9)
CLAIM = Arm(defences="all", claim="claimed")
ROW = Row(
    id="X1",
    title="win",
    adversary=CURIOUS_SERVER,
    measure="share",
    play=lambda arm, trials, seed: rate(trials if arm.claim == "control" else trials // 2, trials, chance=0.5),
    arms=(CONTROL, CLAIM, Arm(defences="some", claim="none")),
    trials={"smoke": 100, "full": 1000},
)


def verdicts(row):
    return [result.verdict for result in play_row(row, profile="smoke", seed=0)]


def test_a_row_whose_control_succeeds_is_judged():
    assert verdicts(ROW) == [Verdict.CONTROL, Verdict.PASS, Verdict.NOT_CLAIMED]


def test_a_row_whose_control_fails_says_nothing():
    row = replace(ROW, play=lambda arm, trials, seed: rate(trials // 2, trials, chance=0.5))

    assert verdicts(row) == [Verdict.INVALID, Verdict.INVALID, Verdict.NOT_CLAIMED]


def test_a_control_must_succeed_for_sure_and_not_by_luck():
    assert judge(CONTROL, rate(19, 20, chance=0.5), controlled=True) is Verdict.INVALID
    assert judge(CONTROL, rate(380, 400, chance=0.5), controlled=True) is Verdict.CONTROL


@pytest.mark.parametrize(("successes", "expected"), [(700, Verdict.PASS), (735, Verdict.PASS), (760, Verdict.FAIL)])
def test_a_claim_fails_when_the_interval_lies_above_the_bound(successes, expected):
    assert judge(CLAIM, rate(successes, 1000, chance=0.5, bound=0.7), controlled=True) is expected


@pytest.mark.parametrize(("low", "expected"), [(3.9, Verdict.PASS), (4.1, Verdict.FAIL)])
def test_what_is_no_rate_is_judged_by_its_own_interval(low, expected):
    epsilon = Measured(value=5.0, low=low, high=6.0, chance=0.0, bound=4.0, n=100)

    assert judge(CLAIM, epsilon, controlled=True) is expected


def test_a_claim_without_bound_and_limit_is_judged_against_chance():
    assert judge(CLAIM, rate(520, 1000, chance=0.5), controlled=True) is Verdict.PASS
    assert judge(CLAIM, rate(600, 1000, chance=0.5), controlled=True) is Verdict.FAIL


def test_a_limit_holds_for_the_value_itself():
    arm = replace(CLAIM, limit=0.0)

    assert judge(arm, rate(0, 10, chance=0.0), controlled=True) is Verdict.PASS
    assert judge(arm, rate(1, 10, chance=0.0), controlled=True) is Verdict.FAIL


def test_a_row_without_a_control_is_refused():
    with pytest.raises(ConfigError, match="needs one control"):
        replace(ROW, arms=(CLAIM,))
    with pytest.raises(ConfigError, match="comes first"):
        replace(ROW, arms=(CLAIM, CONTROL))
