"""All that the package offers is attacked by somebody: a new adapter or way to travel without a row fails here."""

from __future__ import annotations

from typing import get_args

import pytest

from securefed.adapter_choices import KINDS, AnyAdapter
from securefed.choices import Choices
from securefed.threat_models.registry import ROWS
from securefed.threat_models.subjects import CHOSEN


def unattacked(offered):
    """What no row with a claim is about."""
    claimed = [row for row in ROWS if any(arm.claim == "claimed" for arm in row.arms)]
    return set(offered) - set().union(*(row.covers for row in claimed))


def kinds_of_plans():
    union, _ = get_args(AnyAdapter)
    return {choices.model_fields["kind"].default for choices in get_args(union)}


def test_every_adapter_that_a_plan_can_hold_has_a_row():
    assert not unattacked(kinds_of_plans() | set(KINDS))


def test_every_way_in_which_updates_travel_has_a_row():
    assert not unattacked(get_args(Choices.model_fields["secure"].annotation))


def test_something_new_without_a_row_is_noticed():
    assert unattacked(["cachefl", "a new adapter", "a new sum"]) == {"a new adapter", "a new sum"}


@pytest.mark.parametrize("setting", set(get_args(Choices.model_fields["setting"].annotation)) - {"none"})
def test_every_setting_that_promises_something_has_a_claimed_arm(setting):
    assert setting in {arm.setting for row in ROWS for arm in row.arms if arm.claim == "claimed"}


def test_a_row_says_that_it_is_about_all_that_its_arms_play():
    for row in ROWS:
        assert {arm.secure for arm in row.arms if arm.claim == "claimed"} <= row.covers, row.id


def test_the_attack_that_needs_nothing_but_gradients_is_played_on_every_adapter():
    assert set(CHOSEN) == set(KINDS)
    assert {row.id for row in ROWS} >= {f"T04-{kind}" for kind in KINDS[1:]}
