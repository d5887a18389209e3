"""Records of one size, some for each client, in one array.

In a large cohort they are a million: an object for each, or a string for each client that grows as they come, would
take as much memory again as what is in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np


@final
class Records:
    """What has come for each client, in the order in which it came, up to a number of records.

    Args:
        clients: How many clients there are.
        most: How many records are kept for one of them; those that come later are not.
        size: Bytes of a record.
    """

    def __init__(self, clients: int, most: int, size: int) -> None:
        self._records = np.zeros((clients, most, size), dtype=np.uint8)
        self._count = np.zeros(clients, dtype=np.intp)

    def add(self, places: Sequence[int], records: bytes) -> None:
        """Take a record for each of some clients, all different, as one string in their order."""
        _, most, size = self._records.shape
        clients = np.array(places, dtype=np.intp)
        wanted = self._count[clients] < most
        rows = clients[wanted]
        self._records[rows, self._count[rows]] = np.frombuffer(records, dtype=np.uint8).reshape(-1, size)[wanted]
        self._count[rows] += 1

    def of(self, place: int) -> bytes:
        """Return what has come for a client, as one string."""
        return self._records[place, : self._count[place]].tobytes()
