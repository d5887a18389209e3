"""What a server says at the start of a round: which adapter, and the sum's PLAN.

::

    0   4   "SFOP"
    4   .   CBOR array: round, attempt, round and attempt of its deal, task, SHA-256 of the plan, head of the record
            before, adapter, PLAN frame

The adapter is what its server keeps of it (:meth:`securefed.adapters.base.Adapter.kept`), as a safetensors file of
float64. The opening itself is not signed. Everything in it goes into the context of the sum, and the PLAN, which the
server has signed, names that context: an opening that anybody changed does not belong to its PLAN and is refused,
before a record is looked at or a ledger charged. Where sums are encrypted, the frame is the decryptor's PUBLIC_KEY, and
the decryptor has signed the context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self, final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from securefed.aggregation.refusals import Malformed
from securefed.aggregation.requests import Requests
from securefed.aggregation.wire import decode, encode

MAGIC = b"SFOP"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """The first request of a round.

    Attributes:
        round: Number of the model update, from 1.
        attempt: Number of earlier attempts at it.
        deal: Round in which its keys are or were dealt.
        dealt: Number of earlier attempts at that.
        task: Name of the run.
        plan: SHA-256 of the plan, 32 bytes.
        previous: Head of the record of the round before, 32 bytes.
        kept: The adapter before the round, by name, float64.
        frame: The PLAN frame of the sum, or its PUBLIC_KEY frame.
    """

    round: int
    attempt: int
    deal: int
    dealt: int
    task: str
    plan: bytes
    previous: bytes
    kept: Mapping[str, npt.NDArray[np.float64]] = field(repr=False)
    frame: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the request."""
        adapter = save({name: np.ascontiguousarray(tensor) for name, tensor in self.kept.items()})
        strings = [self.task.encode(), self.plan, self.previous, adapter, self.frame]
        return MAGIC + encode([self.round, self.attempt, self.deal, self.dealt], strings)

    def with_each(self, frames: Mapping[str, bytes]) -> Requests:
        """Return everybody's first request of a round: this opening with a frame of its own."""
        return Requests(frames, lambda name: replace(self, frame=frames[name]).to_bytes())

    @classmethod
    def of(cls, request: bytes) -> Self:
        """Return what a request says.

        Raises:
            Malformed: If it is not an opening, or its adapter holds something else than finite numbers.
        """
        numbers, strings = decode(request[len(MAGIC) :], numbers=4, strings=5)
        (number, attempt, deal, dealt), (task, plan, previous, packed, frame) = numbers, strings
        try:
            name = task.decode()
        except UnicodeDecodeError as error:
            raise Malformed("the task's name is not UTF-8") from error
        kept = _unpacked(packed)
        return cls(number, attempt, deal, dealt, task=name, plan=plan, previous=previous, kept=kept, frame=frame)


def _unpacked(packed: bytes) -> dict[str, npt.NDArray[np.float64]]:
    try:
        kept = load(packed)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise Malformed(f"the adapter is not a safetensors file: {error}") from error
    for name, tensor in kept.items():
        if tensor.dtype != np.float64 or not np.isfinite(tensor).all():
            raise Malformed(f"the adapter holds in {name!r} a value that is not a finite number of 8 bytes")
    return kept


def is_opening(request: bytes) -> bool:
    """Tell whether a request opens a round."""
    return request.startswith(MAGIC)
