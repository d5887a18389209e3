"""Remove one defence, and the audit turns red: the kill rate is 100 %."""

from __future__ import annotations

import pytest

from securefed.aggregation.audit import ROWS, run_row
from tests.aggregation.audit.mutants import MUTANTS

BY_ID = {row.id: row for row in ROWS}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_audit_notices(mutant, monkeypatch):
    row = BY_ID[MUTANTS[mutant]]
    assert run_row(row).holds

    mutant(monkeypatch)
    result = run_row(row)

    assert not result.holds, f"{mutant.__name__} survived {row.id}: {result.happened}"


def test_most_rows_kill_a_mutant_of_their_own():
    """A row that no mutant turns red may be blind; those named here are covered by rows of the same kind."""
    assert len(set(MUTANTS.values())) == len(MUTANTS) >= 30
