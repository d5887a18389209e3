"""Messages as Flower's records: bytes in an ArrayRecord, which Flower cuts into chunks however long they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, RecordDict

from securefed.aggregation.refusals import Malformed

MESSAGE, REFUSAL = "message", "refusal"

QUERY = "query.securefed"
"""Flower's type of every message: the phase is the roles' business."""


def wrap(message: bytes) -> RecordDict:
    """Return the record of a request or an answer."""
    return RecordDict({MESSAGE: ArrayRecord([np.frombuffer(message, dtype=np.uint8)])})


def wrap_refusal(reason: str) -> RecordDict:
    """Return the record of a refusal."""
    return RecordDict({REFUSAL: ConfigRecord({"reason": reason})})


def unwrap(content: RecordDict) -> bytes:
    """Return the bytes of a record.

    Raises:
        Malformed: If it does not hold one array of bytes.
    """
    record: Any = content.get(MESSAGE)
    arrays = record.to_numpy_ndarrays() if isinstance(record, ArrayRecord) else []
    if len(arrays) != 1 or arrays[0].dtype != np.uint8 or arrays[0].ndim != 1:
        raise Malformed("the record does not hold one array of bytes")
    return bytes(arrays[0].tobytes())


def refusal(content: RecordDict) -> str | None:
    """Return why a client refused, or None if it did not."""
    record: Any = content.get(REFUSAL)
    return str(record.get("reason", "")) if isinstance(record, ConfigRecord) else None
