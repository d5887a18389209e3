"""The protocol audit: an adversary's moves against the installed package, and what they lead to."""

from __future__ import annotations

import time
from collections.abc import Iterator

from securefed.aggregation.audit import clients, deals, locks, network, privacy, server, sets
from securefed.aggregation.audit.row import Finding, Result, Row

__all__ = ["ROWS", "Finding", "Result", "Row", "run_audit", "run_row"]

ROWS: tuple[Row, ...] = (
    *server.ROWS,
    *sets.ROWS,
    *clients.ROWS,
    *network.ROWS,
    *privacy.ROWS,
    *deals.ROWS,
    *locks.ROWS,
)
"""Every row, in the order of the table."""


def run_row(row: Row) -> Result:
    """Play one row. A crash is a finding: nothing but a named refusal may stop a protocol."""
    start = time.perf_counter()
    try:
        finding = row.play()
    except Exception as error:
        finding = Finding(f"crashed: {type(error).__name__}: {error}", holds=False)
    return Result(row, finding.happened, finding.holds, time.perf_counter() - start)


def run_audit(rows: tuple[Row, ...] = ROWS) -> Iterator[Result]:
    """Play every row, in order."""
    return map(run_row, rows)
