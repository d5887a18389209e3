"""What a client was dealt, and keeps between the rounds that a deal serves.

Every round has secrets of its own, drawn independently: what is revealed of one round says nothing of another. A
round's secrets are given out once, and with them goes whatever was kept for earlier rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, final

from securefed.aggregation import shamir
from securefed.aggregation.derivations import seed_commitment, share_commitments
from securefed.aggregation.graph import Graph
from securefed.aggregation.keys import public_key, unseal
from securefed.aggregation.member import Member
from securefed.aggregation.members import Members
from securefed.aggregation.messages import PAIR, Advert, Sealed, split_records
from securefed.aggregation.refusals import BadBox
from securefed.aggregation.shamir import SHARE
from securefed.aggregation.wire import decode
from securefed.errors import OutOfTurn
from securefed.rng import Source


@final
@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """A client's secrets for one deal, 32 bytes each: elements of the field, so that they can be shared.

    Attributes:
        box_key: Private key of the boxes.
        mask_keys: Private keys of the pairwise masks, one a round.
        self_masks: Seeds of the self masks, one a round.
    """

    box_key: bytes
    mask_keys: tuple[bytes, ...]
    self_masks: tuple[bytes, ...]

    @classmethod
    def draw(cls, rounds: int, rng: Source) -> Self:
        """Draw all of them, independently."""
        box_key, *drawn = (shamir.draw(rng) for _ in range(1 + 2 * rounds))
        return cls(box_key, tuple(drawn[::2]), tuple(drawn[1::2]))

    def advert(self, member: Member) -> Advert:
        """Return the public half."""
        commitments = (
            seed_commitment(member.session, slot, member.place, seed) for slot, seed in enumerate(self.self_masks)
        )
        return Advert(public_key(self.box_key), tuple(map(public_key, self.mask_keys)), tuple(commitments))


@final
@dataclass(frozen=True, slots=True, repr=False)
class HeldShares:
    """What a client holds of one owner's secrets of one round; it will reveal one of the two."""

    self_mask: bytes
    mask_key: bytes

    @classmethod
    def split(cls, shares: bytes) -> list[Self]:
        """Return what was sealed in a box, round by round."""
        return [cls(shares[at : at + SHARE], shares[at + SHARE : at + PAIR]) for at in range(0, len(shares), PAIR)]


@final
@dataclass(frozen=True, slots=True, repr=False)
class Own:
    """A client's own secrets for one round.

    Attributes:
        self_mask: Seed of its self mask.
        masks: What it shares with each peer: X25519 secrets that pairwise masks come from.
        locks: What it shares with each peer, and itself, for locks; empty in a sum without.
    """

    self_mask: bytes
    masks: Mapping[int, bytes]
    locks: Mapping[int, bytes]


@final
class Hand:
    """One client's hand: empty before the first deal, and after the last round of one.

    Guarantees:
        * The secrets of a round are given out at most once, and never after those of a later round.
        * A new deal takes the place of the one before, of which nothing is left.

    Attributes:
        deal: Digest of the deal; empty without one.
        graph: Who masks with whom.
        sharing: Clients whose shares were dealt; None until the inbox was opened.
    """

    def __init__(self) -> None:
        self.drop()

    def drop(self) -> None:
        """Forget everything."""
        self.deal = b""
        self.graph: Graph | None = None
        self.sharing: Members | None = None
        self._own: Mapping[int, Own] = {}
        self._boxes: Mapping[int, bytes] = {}
        self._shares: Mapping[int, Mapping[int, HeldShares]] = {}

    def pick_up(self, deal: bytes, graph: Graph, own: Mapping[int, Own], boxes: Mapping[int, bytes]) -> None:
        """Begin a new deal.

        Args:
            deal: Its digest.
            graph: Who masks with whom.
            own: The client's own secrets, by round of the deal.
            boxes: Keys of the boxes that its peers will seal to it, by owner.
        """
        self.drop()
        self.deal, self.graph, self._own, self._boxes = deal, graph, dict(own), boxes

    def check(self, member: Member) -> None:
        """Refuse a round that this hand has no secrets for.

        Raises:
            OutOfTurn: If the client was not there when they were dealt, or has given them out.
        """
        if self.deal != member.session.deal or member.session.slot not in self._own:
            raise OutOfTurn("this client holds no keys for the round; it takes part again once keys are dealt anew")

    def open(self, member: Member, payload: bytes) -> None:
        """Open the boxes of an INBOX; one that comes again changes nothing.

        Raises:
            BadMembership: If the set of those who dealt cannot be.
            ThresholdError: If it is too small.
            BadBox: If a box does not open, or holds other shares than its owner committed to.
        """
        if self.sharing is not None or self.graph is None:
            return
        _, (bitmap, records) = decode(payload, numbers=0, strings=2)
        sharing = member.members(bitmap, among=self.graph.members)
        owners = member.neighbourhood(self.graph, sharing)
        size = Sealed.size(member.session.parameters.context.deal.rounds)
        held = {
            owner: opened(member, owner, Sealed.of(record), self._boxes[owner])
            for owner, record in zip(owners, split_records(records, size, len(owners)), strict=True)
        }
        self._shares = {slot: {owner: shares[slot] for owner, shares in held.items()} for slot in self._own}
        self.sharing, self._boxes = sharing, {}

    def take(self, slot: int) -> tuple[Own, Mapping[int, HeldShares]]:
        """Give out a round's secrets, its own and the shares of others, and forget those of earlier rounds."""
        own, shares = self._own[slot], self._shares[slot]
        self._own = {later: kept for later, kept in self._own.items() if later > slot}
        self._shares = {later: kept for later, kept in self._shares.items() if later > slot}
        if not self._own:
            self.drop()
        return own, shares


def opened(member: Member, owner: int, sealed: Sealed, key: bytes) -> list[HeldShares]:
    """Return one owner's shares for this client, round by round.

    Raises:
        BadBox: If the box does not open, or the shares are not those that the owner committed to.
    """
    shares = unseal(key, sealed.box, sealed.commitments)
    if share_commitments(member.session, owner, member.place, shares) != sealed.commitments:
        raise BadBox(f"the shares of {member.session.name(owner)!r} are not those it committed to")
    return HeldShares.split(shares)
