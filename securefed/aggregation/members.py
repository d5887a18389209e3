"""Sets of clients, by their places in the cohort, as they travel: one bit a client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import final

from securefed.aggregation.refusals import Malformed


@final
@dataclass(frozen=True)
class Members:
    """A subset of a cohort. Place ``i`` is bit ``i % 8`` of byte ``i // 8``.

    Attributes:
        bits: The set as one integer, place ``i`` being bit ``i``.
        total: Size of the cohort.
    """

    bits: int
    total: int

    @classmethod
    def of(cls, places: Iterable[int], total: int) -> Members:
        """Return the set of some places."""
        return cls(sum(1 << place for place in set(places)), total)

    @classmethod
    def everybody(cls, total: int) -> Members:
        """Return the whole cohort."""
        return cls((1 << total) - 1, total)

    @staticmethod
    @lru_cache(maxsize=16)
    def read(data: bytes, total: int) -> Members:
        """Return the set that ``ceil(total / 8)`` bytes stand for.

        Raises:
            Malformed: If the length is another, or a bit beyond the cohort is set.
        """
        value = int.from_bytes(data, "little")
        if len(data) != (total + 7) // 8 or value >> total:
            raise Malformed(f"a bitmap of {len(data)} bytes does not stand for a subset of {total} clients")
        return Members(value, total)

    def to_bytes(self) -> bytes:
        """Return the set as ``ceil(total / 8)`` bytes."""
        return self.bits.to_bytes((self.total + 7) // 8, "little")

    @cached_property
    def places(self) -> tuple[int, ...]:
        """The places, sorted."""
        data = self.to_bytes()
        return tuple(place for place in range(self.total) if data[place >> 3] >> (place & 7) & 1)

    @cached_property
    def rank(self) -> dict[int, int]:
        """How many members come before each member."""
        return {place: rank for rank, place in enumerate(self.places)}

    def among(self, places: Iterable[int]) -> tuple[int, ...]:
        """Return those of some places that are members, in their order."""
        members = self._set
        return tuple(place for place in places if place in members)

    @cached_property
    def _set(self) -> frozenset[int]:
        return frozenset(self.places)

    def without(self, others: Members) -> Members:
        """Return the members that are none of some others."""
        return Members(self.bits & ~others.bits, self.total)

    def __le__(self, other: Members) -> bool:
        return self.bits & ~other.bits == 0

    def __contains__(self, place: int) -> bool:
        return place in self._set

    def __iter__(self) -> Iterator[int]:
        return iter(self.places)

    def __len__(self) -> int:
        return self.bits.bit_count()
