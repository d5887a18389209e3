"""The last step of a masked sum: revealed shares give secrets, secrets give masks, and the sum is checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from securefed.aggregation import shamir
from securefed.aggregation.derivations import (
    key_share_commitment,
    pair_mask_key,
    seed_commitment,
    self_mask_key,
    self_share_commitment,
)
from securefed.aggregation.desk import Dealt
from securefed.aggregation.first_shares import FirstShares
from securefed.aggregation.keys import agree, load, public_key
from securefed.aggregation.masks import Masks
from securefed.aggregation.members import Members
from securefed.aggregation.messages import split_records
from securefed.aggregation.packing import Words, to_ring
from securefed.aggregation.parameters import exceeds
from securefed.aggregation.refusals import BadShare, InconsistentSum
from securefed.aggregation.session import Session
from securefed.encoding import RingVector

AT_ONCE = 256
"""Masks that are taken off together, piece by piece of the sum: the sum passes through the cache once for all."""


@final
@dataclass(frozen=True, slots=True)
class Left:
    """Keys of masks that are left in a sum: survivors added some, and subtracted others."""

    added: list[bytes]
    subtracted: list[bytes]

    def __len__(self) -> int:
        """Return how many masks there are."""
        return len(self.added) + len(self.subtracted)

    def remove(self, total: Words) -> None:
        """Take the masks off, in place."""
        Masks(added=self.subtracted, subtracted=self.added).apply(total)


@final
@dataclass(frozen=True)
class Revealed:
    """The shares that holders revealed, each checked against its commitment.

    Attributes:
        dealt: What was dealt.
        survivors: Whose self masks are revealed; of all others it is the mask keys.
        shares: No more than it takes to rebuild every secret.
    """

    dealt: Dealt
    survivors: Members
    shares: FirstShares

    @classmethod
    def nothing(cls, dealt: Dealt, survivors: Members) -> Revealed:
        """Return what is revealed before anybody has answered."""
        session = dealt.desk.session
        return cls(dealt, survivors, FirstShares(session.size, session.topology.share_threshold))

    def add(self, holder: int, revealed: bytes) -> None:
        """Take what one holder reveals: all of it, or nothing.

        Raises:
            BadShare: If a share is not the one that its owner committed to.
        """
        owners = self.dealt.neighbours(holder)
        shares = split_records(revealed, shamir.SHARE, len(owners))
        for owner, share, promised in zip(owners, shares, self.dealt.commitments(holder), strict=True):
            self._check(owner, holder, share, promised)
        self.shares.add(holder + 1, owners, revealed)

    def unmask(self, total: Words) -> None:
        """Take from the sum, in place, what every client that dealt shares left in it.

        Raises:
            ThresholdError: If too few holders revealed their shares of somebody.
            BadShare: If somebody shared something else than it committed to.
        """
        left = Left([], [])
        for owner in self.dealt.sharing:
            self._add(left, owner)
            if len(left) >= AT_ONCE:
                left.remove(total)
                left = Left([], [])
        left.remove(total)

    def _add(self, left: Left, owner: int) -> None:
        """Add what one client left: its self mask, or the pairwise masks of which it is missing."""
        session, advert = self.dealt.desk.session, self.dealt.adverts[owner]
        secret = shamir.combine(self.shares.of(owner), threshold=session.topology.share_threshold)
        if owner in self.survivors:
            if seed_commitment(session, session.slot, owner, secret) != advert.self_masks[session.slot]:
                raise BadShare(f"{session.name(owner)!r} shared another self mask than it committed to")
            left.added.append(self_mask_key(session, owner, secret))
            return
        if public_key(secret) != advert.mask_keys[session.slot]:
            raise BadShare(f"{session.name(owner)!r} shared another key than it advertised")
        private = load(secret)
        for peer in self.survivors.among(self.dealt.graph.holders(owner)):
            key = pair_mask_key(session, owner, peer, agree(private, self.dealt.adverts[peer].mask_keys[session.slot]))
            (left.added if peer < owner else left.subtracted).append(key)

    def _check(self, owner: int, holder: int, share: bytes, promised: tuple[bytes, bytes]) -> None:
        session, (of_seed, of_key) = self.dealt.desk.session, promised
        if owner in self.survivors:
            matches = self_share_commitment(session, session.slot, owner, holder, share) == of_seed
        else:
            matches = key_share_commitment(session, session.slot, owner, holder, share) == of_key
        if not matches:
            raise BadShare(f"its share of {session.name(owner)!r} is not the one that was committed to")


def checked(session: Session, total: Words, survivors: int) -> RingVector:
    """Return the sum of the vectors, if every mask has cancelled and no coordinate is beyond the limit.

    Raises:
        InconsistentSum: If the count coordinates do not say how many clients survived, or the sum is beyond its limit.
    """
    bits, dim = session.parameters.bits, session.parameters.dim
    ring = to_ring(total, bits)
    if not (ring[dim:] == np.uint64(survivors & (2**bits - 1))).all():
        raise InconsistentSum(f"the count coordinates do not say {survivors}: a client masked under other conditions")
    if session.parameters.limit is not None and exceeds(ring[:dim], bits, session.parameters.limit):
        raise InconsistentSum(f"a coordinate of the sum is beyond the limit of {session.parameters.limit}")
    return ring[:dim].copy()
