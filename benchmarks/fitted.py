"""What a masked sum costs a client and the server, fitted on what benchmarks/engine.py and server_memory.py measured.

Seconds are sums of what the protocol does, each part with one coefficient, none of them negative, least squares of
relative errors: a client does something for each neighbour and deal, each neighbour and round, each coordinate of each
neighbour's mask; the server something for each client, each coordinate, each share that it opens, and for each
neighbour of a client that left the mask that it takes off. What the server holds is so much for each coordinate, each
client and each neighbour of a client. Bytes on the wire are not fitted: the sizes of frames are public
(docs/wire-format.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from scipy.optimize import nnls

from securefed.aggregation.messages import frame_size
from securefed.aggregation.session import CHECK_BITS
from securefed.aggregation.topology import choose
from securefed.aggregation.wire import Kind

Row = Mapping[str, Any]

THOUSAND = 1_000
"""Coefficients of coordinates are for so many."""

CLIENT: dict[str, Callable[[Row], float]] = {
    "each neighbour, once a deal": lambda row: row["neighbours"] / row["rounds_a_deal"],
    "each neighbour, every round": lambda row: row["neighbours"],
    "a thousand coordinates of each neighbour's mask": lambda row: row["neighbours"] * row["dim"] / THOUSAND,
}
"""What a client's milliseconds are made of."""

SERVER: dict[str, Callable[[Row], float]] = {
    "each client": lambda row: 1.0,
    "each share of a client": lambda row: row["neighbours"],
    "a thousand coordinates of a client": lambda row: row["dim"] / THOUSAND,
    "each neighbour of a client that left": lambda row: row["neighbours"] * _gone(row),
    "a thousand coordinates of each neighbour's mask of a client that left": lambda row: (
        row["neighbours"] * _gone(row) * row["dim"] / THOUSAND
    ),
}
"""What the server's milliseconds for each client of the cohort are made of."""

MEMORY: dict[str, Callable[[Row], float]] = {
    "each coordinate": lambda row: row["dim"],
    "each client": lambda row: row["clients"],
    "each neighbour of a client": lambda row: row["clients"] * row["neighbours"],
}
"""What the bytes that the server holds are made of."""

DEALT_UP, EVERY_UP = (Kind.ADVERT, Kind.SHARES), (Kind.MASKED, Kind.AGREEMENT, Kind.REVEAL)

DEALT_DOWN, EVERY_DOWN = (Kind.KEYS, Kind.INBOX), (Kind.PLAN, Kind.SURVIVORS, Kind.SIGNATURES)


@final
@dataclass(frozen=True, slots=True)
class Fit:
    """Milliseconds, or bytes, as a sum of parts.

    Attributes:
        parts: What a row is charged for, by name.
        costs: What each costs, by name.
        worst: Largest relative error on the rows that it was fitted on.
    """

    parts: Mapping[str, Callable[[Row], float]]
    costs: Mapping[str, float]
    worst: float

    def __call__(self, row: Row) -> float:
        """Return what a case costs."""
        return sum(cost * self.parts[name](row) for name, cost in self.costs.items())


def fit(rows: Sequence[Row], known: Sequence[float], parts: Mapping[str, Callable[[Row], float]]) -> Fit:
    """Return the least-squares fit of relative errors with no coefficient below zero."""
    matrix = np.array([[part(row) for part in parts.values()] for row in rows]) / np.array(known)[:, None]
    costs, _ = nnls(matrix, np.ones(len(rows)))
    worst = float(np.abs(matrix @ costs - 1).max())
    return Fit(parts, dict(zip(parts, map(float, costs), strict=True)), worst)


def client(rows: Sequence[Row]) -> Fit:
    """Return the fit of one client's milliseconds in one round."""
    return fit(rows, [row["client_milliseconds"] for row in rows], CLIENT)


def server(rows: Sequence[Row]) -> Fit:
    """Return the fit of the server's milliseconds in one round, for each client of the cohort."""
    return fit(rows, [1000 * row["server_seconds"] / row["clients"] for row in rows], SERVER)


def memory(rows: Sequence[Row]) -> Fit:
    """Return the fit of the bytes that the server holds in a round in which keys are dealt."""
    return fit(rows, [row["server_bytes"] for row in rows], MEMORY)


def planned(clients: int, *, dim: int, leaving: float, rounds: int) -> dict[str, Any]:
    """Return the case of a cohort under the default threshold, of which a tenth may leave and a fraction does."""
    threshold = clients - clients // 10
    return {
        "registered": clients,
        "clients": clients,
        "dim": dim,
        "bits": 32,
        "threshold": threshold,
        "leaving": round(leaving * clients),
        "rounds_a_deal": rounds,
        "neighbours": choose(clients, threshold).degree,
    }


def bytes_of(row: Row) -> tuple[float, float]:
    """Return what a client of a sparse graph that stays sends and receives in one round, without the adapter."""
    return _bytes(row, DEALT_UP, EVERY_UP), _bytes(row, DEALT_DOWN, EVERY_DOWN)


def _bytes(row: Row, dealt: Sequence[Kind], every: Sequence[Kind]) -> float:
    return sum(_frame(row, kind) for kind in dealt) / row["rounds_a_deal"] + sum(_frame(row, kind) for kind in every)


def _frame(row: Row, kind: Kind) -> int:
    return frame_size(
        kind,
        clients=row["clients"],
        rostered=row["registered"],
        topology=choose(row["clients"], row["threshold"]),
        dim=row["dim"] + -(-CHECK_BITS // row["bits"]),
        bits=row["bits"],
        rounds=row["rounds_a_deal"],
    )


def _gone(row: Row) -> float:
    return float(row["leaving"] / row["clients"])
