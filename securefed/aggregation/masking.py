"""A client's vector under its masks, piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from securefed.aggregation.derivations import pair_mask_key, self_mask_key
from securefed.aggregation.hand import Own
from securefed.aggregation.masks import Masks
from securefed.aggregation.member import Member
from securefed.aggregation.packing import Words, pack, word
from securefed.aggregation.wire import Buffer
from securefed.encoding import RingVector


def under_masks(member: Member, own: Own, owners: Iterable[int], vector: RingVector) -> Iterator[Buffer]:
    """Yield the vector and its count coordinates under the self mask and every pairwise mask, packed.

    Every piece takes the memory of the one before.
    """
    session, place = member.session, member.place
    bits = session.parameters.bits
    keys = {peer: pair_mask_key(session, place, peer, own.masks[peer]) for peer in owners if peer != place}
    masks = Masks(
        added=[
            self_mask_key(session, place, own.self_mask),
            *(key for peer, key in keys.items() if peer > place),
        ],
        subtracted=[key for peer, key in keys.items() if peer < place],
    )
    kind = word(bits)
    pieces = masks.pieces(session.length, kind.itemsize)
    for part in masks.applied(_counted(vector[: session.parameters.dim], pieces, kind)):
        yield pack(part, bits)


def _counted(vector: RingVector, pieces: Sequence[slice], kind: np.dtype[np.unsignedinteger]) -> Iterator[Words]:
    """Yield a vector and its count coordinates piece by piece, all in the same memory."""
    scratch = np.empty(pieces[0].stop, dtype=kind)
    for piece in pieces:
        part, part_of_own = scratch[: piece.stop - piece.start], vector[piece]
        np.copyto(part[: len(part_of_own)], part_of_own, casting="unsafe")
        part[len(part_of_own) :] = 1
        yield part
