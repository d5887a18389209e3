"""Remove one defence, and the audit turns red: the kill rate is 100 % (``python -m tools.kill_rate`` prints it)."""

from __future__ import annotations

import pytest

from tests.aggregation.audit.mutants import MUTANTS
from tools.kill_rate import is_killed


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_audit_notices(mutant):
    killed, result = is_killed(mutant)

    assert killed, f"{mutant.__name__} survived {result.row.id}: {result.happened}"


def test_every_mutant_is_noticed_by_a_row_of_its_own():
    """A row that no mutant turns red may be blind; those named here are covered by rows of the same kind."""
    assert len(set(MUTANTS.values())) == len(MUTANTS) >= 30
