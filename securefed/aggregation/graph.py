"""Who masks with whom: a graph that follows from the hash of all advertised keys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import final

import numpy as np
import numpy.typing as npt

from securefed.aggregation.keys import derive, label
from securefed.aggregation.masks import add_mask
from securefed.aggregation.members import Members
from securefed.aggregation.topology import Topology


@final
@dataclass(frozen=True)
class Graph:
    """Neighbours and witnesses among the clients that advertised keys.

    The members are laid in a circle in an order drawn from ``root``; neighbours are the ``degree / 2`` nearest on
    either side, witnesses the first ones in the order. In a small cohort everybody is both.

    Attributes:
        topology: The public sizes.
        members: The clients that advertised keys.
        root: Merkle root of their advertised keys.
    """

    topology: Topology
    members: Members
    root: bytes

    @staticmethod
    @lru_cache(maxsize=4)
    def of(topology: Topology, members: Members, root: bytes) -> Graph:
        """Return the graph; the same one for the many clients of one process."""
        return Graph(topology, members, root)

    @cached_property
    def is_complete(self) -> bool:
        """Whether everybody is everybody's neighbour."""
        return self.topology.degree >= len(self.members) - 1

    @cached_property
    def witnesses(self) -> frozenset[int]:
        """Places of the clients that vouch for the survivors."""
        if self.topology.witnesses >= len(self.members):
            return frozenset(self.members.places)
        return frozenset(self.members.places[at] for at in self._order[: self.topology.witnesses])

    def holders(self, place: int) -> tuple[int, ...]:
        """Return a client's neighbours and itself, sorted: they hold its shares, and it holds theirs."""
        if self.is_complete:
            return self.members.places
        at = int(self._seat[self.members.rank[place]])
        half = self.topology.degree // 2
        seats = np.arange(at - half, at + half + 1) % len(self.members)
        return tuple(self._places[np.sort(self._order[seats])].tolist())

    @cached_property
    def _places(self) -> npt.NDArray[np.int64]:
        """The members' places by rank; they ascend."""
        return np.array(self.members.places)

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        """The members' ranks as they sit in the circle."""
        stream = np.zeros(len(self.members), dtype="<u8")
        add_mask(stream, derive(self.root, label("graph", b"")))
        return np.argsort(stream, kind="stable")

    @cached_property
    def _seat(self) -> npt.NDArray[np.int64]:
        """The seat of every rank: the inverse of the order."""
        seat = np.empty_like(self._order)
        seat[self._order] = np.arange(len(self._order))
        return seat
