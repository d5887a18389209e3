"""Every key and commitment of a masked sum, each with its own label, bound to context and parties.

What is dealt is bound to the deal and, since a deal serves several rounds, to the round's slot in it; masks are bound
to the round's own context.
"""

from __future__ import annotations

from securefed.aggregation.keys import derive, digest, label
from securefed.aggregation.messages import PAIR
from securefed.aggregation.session import Session
from securefed.aggregation.shamir import SHARE


def box_key(session: Session, secret: bytes, *, owner: int, holder: int) -> bytes:
    """Return the key of the one box that ``owner`` seals to ``holder``, from their X25519 shared secret."""
    return derive(secret, label("box", session.deal, owner, holder))


def pair_mask_key(session: Session, one: int, other: int, secret: bytes) -> bytes:
    """Return the key of the mask between two clients, from their X25519 shared secret."""
    return derive(secret, label("pairwise mask", session.context, min(one, other), max(one, other)))


def self_mask_key(session: Session, owner: int, seed: bytes) -> bytes:
    """Return the key of a client's self mask, from its seed."""
    return derive(seed, label("self mask", session.context, owner))


def lock_secret(session: Session, slot: int, one: int, other: int, secret: bytes) -> bytes:
    """Return what two clients share for the locks of one round, from the X25519 shared secret of their boxes."""
    return derive(secret, label("lock secret", session.deal, min(one, other), max(one, other), slot))


def lock_key(session: Session, secret: bytes, owner: int, witness: int, agreed: bytes) -> bytes:
    """Return the key of the box that ``owner`` makes for ``witness``, if both agree to the same."""
    return derive(secret, label("lock", session.context, owner, witness) + agreed)


def seed_commitment(session: Session, slot: int, owner: int, seed: bytes) -> bytes:
    """Return the commitment to the seed of a self mask; it hides the seed, which is uniform among 2**255 values."""
    return digest(label("self mask commitment", session.deal, owner, slot), seed)


def self_share_commitment(session: Session, slot: int, owner: int, holder: int, share: bytes) -> bytes:
    """Return the commitment to a share of a self mask's seed; it hides the share, which is uniform."""
    return digest(label("share of self mask", session.deal, owner, holder, slot), share)


def key_share_commitment(session: Session, slot: int, owner: int, holder: int, share: bytes) -> bytes:
    """Return the commitment to a share of a private mask key; it hides the share, which is uniform."""
    return digest(label("share of mask key", session.deal, owner, holder, slot), share)


def share_commitments(session: Session, owner: int, holder: int, shares: bytes) -> bytes:
    """Return the commitments to all shares in a box, in their order: two a round, as :class:`Sealed` has them."""
    pairs = [
        self_share_commitment(session, slot, owner, holder, shares[at : at + SHARE])
        + key_share_commitment(session, slot, owner, holder, shares[at + SHARE : at + PAIR])
        for slot, at in enumerate(range(0, len(shares), PAIR))
    ]
    return b"".join(pairs)
