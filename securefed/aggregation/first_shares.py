"""The shares that rebuild secrets, as many of each as that takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from securefed.aggregation.messages import split_records
from securefed.aggregation.records import Records
from securefed.aggregation.shamir import SHARE

POINT = 4
"""Bytes of a holder's point."""


@final
class FirstShares:
    """The first shares of every owner's secret; those that come later are not needed, and not kept.

    Args:
        owners: How many clients there are.
        needed: How many shares rebuild a secret.
    """

    def __init__(self, owners: int, needed: int) -> None:
        self._points = Records(owners, needed, POINT)
        self._shares = Records(owners, needed, SHARE)

    def add(self, point: int, owners: Sequence[int], shares: bytes) -> None:
        """Take the shares of one holder.

        Args:
            point: Where its shares are the values of polynomials.
            owners: The places of their owners, all different.
            shares: Theirs in one string, 32 bytes each.
        """
        self._points.add(owners, point.to_bytes(POINT, "big") * len(owners))
        self._shares.add(owners, shares)

    def of(self, owner: int) -> dict[int, bytes]:
        """Return the shares of an owner's secret by their points, at most as many as are needed."""
        points, shares = self._points.of(owner), self._shares.of(owner)
        count = len(points) // POINT
        split = split_records(points, POINT, count), split_records(shares, SHARE, count)
        return {int.from_bytes(point, "big"): share for point, share in zip(*split, strict=True)}
