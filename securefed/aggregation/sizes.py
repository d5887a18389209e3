"""How many bytes one client sends in one sum of each kind, from public numbers alone; frames have these very sizes."""

from __future__ import annotations

from securefed.aggregation.encryption import Encryption
from securefed.aggregation.keys import KEY, TAG
from securefed.aggregation.messages import ENVELOPE, HEADS, frame_size
from securefed.aggregation.packing import packed_size
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.session import CHECK_BITS
from securefed.aggregation.topology import choose
from securefed.aggregation.wire import Kind

ANSWERS = (Kind.ADVERT, Kind.SHARES, Kind.MASKED, Kind.AGREEMENT, Kind.REVEAL)
"""What a client sends in a masked sum."""


def plain(*, dim: int, bits: int) -> int:
    """Return the bytes of a plain sum: the packed vector and nothing else."""
    return packed_size(dim, bits)


def masked(*, clients: int, threshold: int, dim: int, bits: int) -> int:
    """Return the bytes of a masked sum whose roster is its cohort; none of them depends on the roster.

    It begins with a deal for itself alone; one that serves more rounds has fewer frames, and as many shares a round.
    """
    topology, length = choose(clients, threshold), dim + -(-CHECK_BITS // bits)
    return sum(
        frame_size(kind, clients=clients, rostered=clients, topology=topology, dim=length, bits=bits, rounds=1)
        for kind in ANSWERS
    )


def encrypted(encryption: Encryption, *, dim: int) -> int:
    """Return the bytes of an encrypted sum without an inner mask: bodies for the server, openers for the decryptor."""
    bodies = ENVELOPE + HEADS + DIGEST
    openers = ENVELOPE + HEADS + 2 * DIGEST + KEY + TAG
    return bodies + openers + encryption.size(dim)
