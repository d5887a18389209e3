"""What changed between two scorecards, and whether it is worse."""

from __future__ import annotations

import pytest

from securefed.threat_models.differences import differences, is_worse


def card(*arms):
    names = ("row", "defences", "verdict", "value", "low", "high")
    return {"results": [dict(zip(names, arm, strict=True)) for arm in arms]}


PASSED = ("T01", "masks", "PASS", 0.1, 0.05, 0.2)


@pytest.mark.parametrize(
    ("after", "change", "worse"),
    [
        (PASSED, None, False),
        (("T01", "masks", "PASS", 0.15, 0.1, 0.25), None, False),
        (("T01", "masks", "PASS", 0.5, 0.4, 0.6), "moved", False),
        (("T01", "masks", "FAIL", 0.5, 0.4, 0.6), "worse", True),
        (("T01", "masks", "INVALID", 0.1, 0.05, 0.2), "worse", True),
        (("T01", "masks", "NOT CLAIMED", 0.1, 0.05, 0.2), "worse", True),
    ],
)
def test_a_verdict_that_fell_is_worse_and_an_interval_that_left_has_moved(after, change, worse):
    found = differences(card(PASSED), card(after))

    assert [each.change for each in found] == ([change] if change else [])
    assert is_worse(found) is worse


def test_a_claim_that_holds_now_is_better():
    assert [each.change for each in differences(card(("T01", "masks", "FAIL", 0.5, 0.4, 0.6)), card(PASSED))] == [
        "better"
    ]


def test_an_arm_that_nobody_plays_any_more_is_worse_and_a_new_one_is_not():
    other = ("T02", "noise", "PASS", 0.1, 0.05, 0.2)
    found = differences(card(PASSED), card(other))

    assert [(each.row, each.change, each.before, each.after) for each in found] == [
        ("T01", "gone", "PASS 0.100", ""),
        ("T02", "new", "", "PASS 0.100"),
    ]
    assert is_worse(found)
    assert not is_worse(differences(card(), card(other)))
