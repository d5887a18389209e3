"""Weaken one defence, and its row turns red while its control still succeeds: the kill rate is 100 %."""

from __future__ import annotations

from dataclasses import replace

import pytest

from securefed.threat_models.game import Verdict, play_row
from securefed.threat_models.games import canary, poisoning, shadows
from securefed.threat_models.registry import row_of
from tests.threat_models.mutants import MUTANTS


@pytest.fixture(autouse=True)
def _forgetful():
    """What a mutant made is for nobody else."""
    _forget()
    yield
    _forget()


def _forget():
    canary.scores.cache_clear()
    shadows.spread.cache_clear()
    poisoning.train.cache_clear()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_row_notices(mutant, monkeypatch):
    mutant(monkeypatch)
    row = row_of(MUTANTS[mutant])
    cheap = {"plain", "mask", row.arms[0].secure}
    played = replace(row, arms=tuple(arm for arm in row.arms if arm.claim != "none" and arm.secure in cheap))
    results = []
    for result in play_row(played, profile="smoke", seed=0):
        results.append(result)
        if result.verdict is Verdict.FAIL:
            break
    found = {result.arm.defences: (result.verdict.value, result.measured) for result in results}

    assert results[0].verdict is Verdict.CONTROL, found
    assert Verdict.FAIL in {result.verdict for result in results}, found
