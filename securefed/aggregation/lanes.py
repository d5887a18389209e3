"""Several whole numbers in one slot of a plaintext, so that adding slots adds all of them.

A vector of ring elements, read as signed numbers, becomes *digits*: one a coordinate, or several where a slot is too
small for a sum of coordinates. Digits are laid side by side as *lanes* of a slot, each wide enough for the sum of all
clients, so that no lane reaches its neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from securefed.aggregation.refusals import InconsistentSum
from securefed.encoding import Integers, RingVector

Slots: TypeAlias = npt.NDArray[np.int64]
"""The whole numbers of one plaintext, shape ``(degree,)``."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Lanes:
    """How coordinates lie in slots.

    Attributes:
        bits: Size of the ring of the vectors.
        summand: Largest magnitude of one client's coordinate, read as a signed number.
        weight: Total of the weights of all clients that may be added.
        digits: Digits of a coordinate.
        lanes: Digits in a slot.
        slots: Slots of a plaintext.
    """

    bits: int
    summand: int
    weight: int
    digits: int
    lanes: int
    slots: int

    @property
    def digit_bits(self) -> int:
        """Bits of one digit, if there are several."""
        return -(-self.bits // self.digits)

    @property
    def reach(self) -> int:
        """Largest magnitude of the sum of a digit over all clients."""
        return self.weight * (self.summand if self.digits == 1 else 1 << (self.digit_bits - 1))

    @property
    def width(self) -> int:
        """Bits of a lane: the least that hold every number from ``-reach`` to ``reach``."""
        return (2 * self.reach).bit_length()

    @property
    def largest(self) -> int:
        """Largest magnitude of a slot of the sum."""
        return self.reach * self._ones

    @property
    def coordinates(self) -> int:
        """Coordinates in one plaintext."""
        return self.slots * self.lanes // self.digits

    @property
    def _ones(self) -> int:
        return sum(1 << (lane * self.width) for lane in range(self.lanes))

    def plaintexts(self, dim: int) -> int:
        """Return how many plaintexts a vector takes."""
        return -(-dim // self.coordinates)

    def encode(self, part: RingVector) -> Slots:
        """Return the slots of at most ``coordinates`` coordinates."""
        table = np.zeros(self.slots * self.lanes, dtype=np.int64)
        digits = self._split(signed(part, self.bits))
        table[: digits.size] = digits.reshape(-1)
        slots = np.zeros(self.slots, dtype=np.int64)
        for lane, values in enumerate(table.reshape(self.lanes, self.slots)):
            slots += values << np.int64(lane * self.width)
        return slots

    def decode(self, slots: Slots, count: int) -> RingVector:
        """Return the first ``count`` coordinates of a sum, modulo ``2**bits``, shape ``(count,)``.

        Raises:
            InconsistentSum: If a digit is beyond what the clients together may reach.
        """
        shifted = (slots + np.int64(self.reach * self._ones)).astype(np.uint64)
        table = np.empty((self.lanes, self.slots), dtype=np.uint64)
        for lane in range(self.lanes):
            table[lane] = (shifted >> np.uint64(lane * self.width)) & np.uint64(2**self.width - 1)
        if table.max() > np.uint64(2 * self.reach) or bool((shifted >> np.uint64(self.lanes * self.width)).any()):
            raise InconsistentSum("the sum is beyond what its clients may reach together")
        digits = (table.astype(np.int64) - np.int64(self.reach)).reshape(-1)[: count * self.digits]
        return self._join(digits.reshape(self.digits, count))

    def _split(self, values: Integers) -> Integers:
        """Return signed digits, shape ``(digits, len(values))``; weighed by their places they add to the value."""
        if self.digits == 1:
            return values[np.newaxis]
        digits = np.empty((self.digits, len(values)), dtype=np.int64)
        for place in range(self.digits):
            low = signed(values.astype(np.uint64), self.digit_bits)
            digits[place] = low
            values = (values - low) >> np.int64(self.digit_bits)
        return digits

    def _join(self, digits: Integers) -> RingVector:
        total = np.zeros(digits.shape[1], dtype=np.uint64)
        for place, values in enumerate(digits):
            total += values.astype(np.uint64) << np.uint64(place * self.digit_bits)
        return total & np.uint64(2**self.bits - 1)


def signed(vector: RingVector, bits: int) -> Integers:
    """Return ring elements as the signed numbers that they stand for; higher bits are ignored."""
    return (vector << np.uint64(64 - bits)).astype(np.int64) >> np.int64(64 - bits)
