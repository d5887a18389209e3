"""What a server says at the start of a round: which adapter, and the sum's PLAN.

::

    0   4   "SFOP"
    4   .   CBOR array: round, attempt, task, SHA-256 of the plan, head of the record before, adapter vector, PLAN frame

The opening itself is not signed. Everything in it goes into the context of the sum, and the PLAN, which the server has
signed, names that context: an opening that anybody changed does not belong to its PLAN and is refused, before a record
is looked at or a ledger charged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self, final

import numpy as np

from securefed.aggregation.refusals import Malformed
from securefed.aggregation.wire import decode, encode
from securefed.encoding import Vector

MAGIC = b"SFOP"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """The first request of a round.

    Attributes:
        round: Number of the model update, from 1.
        attempt: Number of earlier attempts at it.
        task: Name of the run.
        plan: SHA-256 of the plan, 32 bytes.
        previous: Head of the record of the round before, 32 bytes.
        vector: The adapter's trainable parameters, float64, shape ``(dim,)``.
        frame: The PLAN frame of the sum.
    """

    round: int
    attempt: int
    task: str
    plan: bytes
    previous: bytes
    vector: Vector = field(repr=False)
    frame: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the request."""
        vector = self.vector.astype("<f8").tobytes()
        strings = [self.task.encode(), self.plan, self.previous, vector, self.frame]
        return MAGIC + encode([self.round, self.attempt], strings)

    @classmethod
    def of(cls, request: bytes) -> Self:
        """Return what a request says.

        Raises:
            Malformed: If it is not an opening, or its vector holds something else than finite numbers.
        """
        (number, attempt), (task, plan, previous, packed, frame) = decode(request[len(MAGIC) :], numbers=2, strings=5)
        if len(packed) % 8:
            raise Malformed(f"a vector of {len(packed)} bytes is not made of numbers of 8 bytes")
        vector = np.frombuffer(packed, dtype="<f8").astype(np.float64)
        if not np.isfinite(vector).all():
            raise Malformed("the adapter holds a value that is not a finite number")
        try:
            name = task.decode()
        except UnicodeDecodeError as error:
            raise Malformed("the task's name is not UTF-8") from error
        return cls(round=number, attempt=attempt, task=name, plan=plan, previous=previous, vector=vector, frame=frame)


def is_opening(request: bytes) -> bool:
    """Tell whether a request opens a round."""
    return request.startswith(MAGIC)
