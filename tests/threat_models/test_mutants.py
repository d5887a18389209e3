"""Weaken one defence, and its rows turn red while their controls still succeed: the kill rate is 100 %."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from securefed.threat_models.registry import ROWS, row_of
from tests.aggregation.audit import mutants as moves
from tests.threat_models.mutants import MUTANTS
from tools.kill_rate import is_killed_by

PUBLISHED = Path(__file__).parents[2] / "benchmarks" / "results" / "kill_rate.json"

PAIRS = [pytest.param(mutant, name, id=f"{name} {mutant.__name__}") for mutant in MUTANTS for name in MUTANTS[mutant]]


@pytest.mark.parametrize(("mutant", "name"), PAIRS)
def test_a_row_notices(mutant, name):
    killed, results = is_killed_by(mutant, row_of(name))

    assert killed, {result.arm.defences: (result.verdict.value, result.measured) for result in results}


def test_every_row_with_a_claim_is_turned_red_by_a_mutant():
    claimed = {row.id for row in ROWS if any(arm.claim == "claimed" for arm in row.arms)}

    assert claimed == {name for names in MUTANTS.values() for name in names}


def test_the_published_kill_rate_is_of_these_mutants_and_whole():
    figures = json.loads(PUBLISHED.read_text())
    tried = {(each["mutant"], each["by"]) for each in figures["mutants"]}

    assert tried == {(mutant.__name__, row) for mutant, row in moves.MUTANTS.items()} | {
        (mutant.__name__, name) for mutant, names in MUTANTS.items() for name in names
    }
    assert figures["killed"] == figures["of"] == len(figures["mutants"])
    assert all(each["killed"] and each["weakened"] for each in figures["mutants"])
