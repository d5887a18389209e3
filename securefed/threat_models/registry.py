"""Every row, in the order of the table."""

from __future__ import annotations

from securefed.errors import ChoiceError
from securefed.threat_models.game import Row
from securefed.threat_models.games import (
    canary,
    differencing,
    forgery,
    halves,
    initial_keys,
    isolation,
    key_recovery,
    labels,
    membership,
    poisoning,
    pull_back,
    reconstruction,
    seeds,
    shadows,
    source,
    traffic,
    unmasking,
)

ROWS: tuple[Row, ...] = (
    reconstruction.ROW,
    pull_back.FACTORS,
    pull_back.TEXTS,
    membership.ROW,
    canary.ROW,
    *canary.OTHERS,
    labels.ROW,
    source.ROW,
    shadows.ROW,
    canary.AUDIT,
    isolation.ROW,
    differencing.ROW,
    unmasking.BOTH,
    seeds.ROW,
    forgery.ROW,
    unmasking.COLLUSION,
    halves.ROW,
    key_recovery.ROW,
    traffic.COUNTS,
    traffic.SIZES,
    *poisoning.ROWS,
    initial_keys.ROW,
)


def row_of(name: str) -> Row:
    """Return the row of a name.

    Raises:
        ChoiceError: If there is none.
    """
    for row in ROWS:
        if row.id == name:
            return row
    raise ChoiceError("row", name, [row.id for row in ROWS])
