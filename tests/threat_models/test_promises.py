"""Every promise has evidence that exists, and everything that is attacked stands behind a promise or is none."""

from __future__ import annotations

import re

import pytest

from securefed.aggregation import audit
from securefed.errors import ConfigError
from securefed.threat_models.adversaries import ADVERSARIES, OUTSIDER
from securefed.threat_models.promises import NON_GOALS, PROMISES, Promise
from securefed.threat_models.registry import ROWS

ROW_IDS = {row.id: row for row in ROWS}
GOALS = {goal.id for goal in NON_GOALS}


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.guarantee[:50])
def test_a_promise_names_evidence_and_bounds_that_exist(promise):
    assert set(promise.rows) <= set(ROW_IDS)
    assert set(promise.moves) <= {row.id for row in audit.ROWS}
    assert set(promise.beyond) <= GOALS


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.guarantee[:50])
def test_a_row_that_stands_for_a_promise_makes_a_claim(promise):
    for name in promise.rows:
        assert any(arm.claim == "claimed" for arm in ROW_IDS[name].arms), name


def test_a_promise_without_evidence_cannot_be_made():
    with pytest.raises(ConfigError, match="nothing tries to break"):
        Promise(adversary=OUTSIDER, guarantee="is safe", assumption="none")


def test_there_is_a_promise_against_every_adversary():
    assert {promise.adversary.id for promise in PROMISES} == {adversary.id for adversary in ADVERSARIES}


def test_what_non_goals_name_exists_and_has_a_name_of_its_own():
    assert len(GOALS) == len(NON_GOALS)
    for goal in NON_GOALS:
        assert set(re.findall(r"T\d\d", goal.text)) <= {name[:3] for name in ROW_IDS}


def test_a_row_that_claims_nothing_is_named_under_what_is_not_protected():
    """A row without any claim stands under what is not protected."""
    named = " ".join(goal.text for goal in NON_GOALS)
    for row in ROWS:
        if all(arm.claim != "claimed" for arm in row.arms):
            assert row.id in named, row.id
