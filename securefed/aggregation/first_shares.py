"""The shares that rebuild secrets, as many of each as that takes, in one array for all owners.

In a large cohort they are a million, and an object for each would be most of what a server holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from securefed.aggregation.shamir import SHARE


@final
class FirstShares:
    """The first shares of every owner's secret; those that come later are not needed, and not kept.

    Args:
        owners: How many clients there are.
        needed: How many shares rebuild a secret.
    """

    def __init__(self, owners: int, needed: int) -> None:
        self._shares = np.zeros((owners, needed, SHARE), dtype=np.uint8)
        self._points = np.zeros((owners, needed), dtype=np.uint32)
        self._known = np.zeros(owners, dtype=np.intp)
        self._needed = needed

    def add(self, point: int, owners: Sequence[int], shares: bytes) -> None:
        """Take the shares of one holder.

        Args:
            point: Where its shares are the values of polynomials.
            owners: The places of their owners, all different.
            shares: Theirs in one string, 32 bytes each.
        """
        places, records = np.array(owners), np.frombuffer(shares, dtype=np.uint8).reshape(-1, SHARE)
        wanted = self._known[places] < self._needed
        rows = places[wanted]
        at = self._known[rows]
        self._shares[rows, at], self._points[rows, at] = records[wanted], point
        self._known[rows] += 1

    def of(self, owner: int) -> dict[int, bytes]:
        """Return the shares of an owner's secret by their points, at most as many as are needed."""
        known = self._known[owner]
        points, shares = self._points[owner, :known].tolist(), self._shares[owner, :known]
        return dict(zip(points, map(np.ndarray.tobytes, shares), strict=True))
