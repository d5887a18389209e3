"""The protocol audit: one test for each move of an adversary."""

from __future__ import annotations

import pytest

from securefed.aggregation.audit import ROWS, Finding, Row, run_audit, run_row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.id} {row.adversary} {row.move}")
def test_the_protocol_withstands_that_the(row):
    result = run_row(row)

    assert result.holds, f"expected {row.expected}; {result.happened}"


def test_rows_have_names_of_their_own():
    assert len({row.id for row in ROWS}) == len({(row.adversary, row.move, row.expected) for row in ROWS}) == len(ROWS)


def test_a_row_that_crashes_or_deviates_is_red():
    def crash() -> Finding:
        raise ZeroDivisionError("by design")

    deviation = Row("X1", "server", "moves", "refused", lambda: Finding("accepted", holds=False))
    crashed = Row("X2", "server", "moves", "refused", crash)
    results = list(run_audit((deviation, crashed)))

    assert [result.holds for result in results] == [False, False]
    assert "ZeroDivisionError" in results[1].happened
