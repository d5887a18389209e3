"""The reference sum: the server sees every vector.

It hides nothing and is here to say what the other sums must equal, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np

from securefed.aggregation.base import ClientRole, SecureSum, ServerRole
from securefed.aggregation.journal import Journal
from securefed.aggregation.packing import pack, to_ring, unpack
from securefed.aggregation.parameters import Context, Parameters
from securefed.encoding import RingVector
from securefed.errors import OutOfTurn, ProtocolError, ThresholdError
from securefed.rng import Source


@final
@dataclass(frozen=True, slots=True)
class PlainSum(SecureSum):
    """Add vectors in the clear, in one phase.

    Attributes:
        parameters: What everybody knows about this sum.
        journals: What clients remember of earlier sums, by name; those without one remember nothing.
    """

    parameters: Parameters
    journals: Mapping[str, Journal] = field(default_factory=dict)

    def client(self, name: str, vector: RingVector, *, rng: Source) -> ClientRole:
        """Return a client that sends its vector as it is."""
        self.parameters.index(name)
        self.parameters.check(name, vector)
        packed = bytes(pack(vector, self.parameters.bits))
        return _PlainClient(packed, self.parameters.context, self.journals.get(name))

    def server(self) -> ServerRole:
        """Return a server that adds what it is sent."""
        return _PlainServer(self.parameters)


@final
class _PlainClient(ClientRole):
    def __init__(self, packed: bytes, context: Context, journal: Journal | None) -> None:
        self._packed: bytes | None = packed
        self._context, self._journal = context, journal

    def answer(self, request: bytes) -> bytes:
        packed, self._packed = self._packed, None
        if packed is None:
            raise OutOfTurn("a client answers a plain sum once")
        if self._journal is not None:
            self._journal.take_part(self._context)
        return packed


@final
class _PlainServer(ServerRole):
    def __init__(self, parameters: Parameters) -> None:
        self._phase = "plain"
        self._survivors: tuple[str, ...] = ()
        self._refusals: dict[str, str] = {}
        self._parameters = parameters
        self._total: RingVector | None = None

    @property
    def phase(self) -> str:
        return self._phase

    @property
    def survivors(self) -> tuple[str, ...]:
        return self._survivors

    @property
    def refusals(self) -> Mapping[str, str]:
        return self._refusals

    def requests(self) -> Mapping[str, bytes]:
        return {} if self.phase == "done" else dict.fromkeys(self._parameters.cohort, b"")

    def collect(self, answers: Mapping[str, bytes]) -> None:
        if self.phase == "done":
            raise OutOfTurn("a plain sum has one phase")
        vectors = {name: vector for name, data in answers.items() if (vector := self._read(name, data)) is not None}
        if len(vectors) < self._parameters.threshold:
            raise ThresholdError(survivors=len(vectors), threshold=self._parameters.threshold)
        self._total = self._add(vectors)
        self._survivors = tuple(sorted(vectors))
        self._phase = "done"

    def total(self) -> RingVector:
        if self._total is None:
            raise OutOfTurn("there is no total before the answers are collected")
        return self._total

    def _read(self, name: str, data: bytes) -> RingVector | None:
        try:
            self._parameters.index(name)
            return to_ring(unpack(data, dim=self._parameters.dim, bits=self._parameters.bits), self._parameters.bits)
        except (ProtocolError, ValueError) as error:
            self._refusals[name] = str(error)
            return None

    def _add(self, vectors: Mapping[str, RingVector]) -> RingVector:
        total = np.zeros(self._parameters.dim, dtype=np.uint64)
        for vector in vectors.values():
            total += vector
        return total & self._parameters.modulus_mask
