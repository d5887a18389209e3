"""What the messages say: records of one size, and the size of every frame.

Every list is one byte string of equal records in the order of the clients' places, so a message has one encoding.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import final

from securefed.aggregation.identity import SIGNATURE
from securefed.aggregation.keys import KEY, TAG
from securefed.aggregation.merkle import HASH, leaf, proof_limit
from securefed.aggregation.packing import packed_size
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.refusals import Malformed
from securefed.aggregation.shamir import SHARE
from securefed.aggregation.topology import Topology
from securefed.aggregation.wire import HEADER, Kind, array_head, decode, encode, string_head

ENVELOPE = HEADER + DIGEST + SIGNATURE + 32
"""Bytes of a frame besides its payload: header, context, signature, and at most 32 bytes of CBOR heads."""

HEADS = 48
"""Bytes that the CBOR heads of a payload's fields take at most."""

BOX = 2 * SHARE + TAG
SEALED = 2 * DIGEST + BOX
"""Bytes of one sealed record: commitments to both shares, and the box that holds them."""


@final
@dataclass(frozen=True, slots=True)
class Advert:
    """The public half of a client's secrets for one sum.

    Attributes:
        box_key: X25519 key under which shares are sealed to this client.
        mask_key: X25519 key that pairwise masks come from.
        self_mask: Commitment to the seed of the self mask.
    """

    box_key: bytes
    mask_key: bytes
    self_mask: bytes

    SIZE = 2 * KEY + DIGEST
    HEAD = array_head(1) + string_head(SIZE)

    def encode(self) -> bytes:
        """Return the payload of an ADVERT."""
        return encode([], [self.to_bytes()])

    @classmethod
    def decode(cls, payload: bytes) -> Advert:
        """Read the payload of an ADVERT."""
        _, (record,) = decode(payload, numbers=0, strings=1)
        return cls.of(record)

    @classmethod
    def of(cls, record: bytes) -> Advert:
        """Read a record of ``SIZE`` bytes."""
        return cls(record[:KEY], record[KEY : 2 * KEY], record[2 * KEY :])

    def to_bytes(self) -> bytes:
        """Return the record."""
        return self.box_key + self.mask_key + self.self_mask


@final
@dataclass(frozen=True, slots=True)
class Sealed:
    """Two shares of one owner for one holder, sealed and committed to.

    Attributes:
        self_commitment: Commitment to the share of the self mask's seed.
        key_commitment: Commitment to the share of the private mask key.
        box: Both shares, sealed to the holder.
    """

    self_commitment: bytes
    key_commitment: bytes
    box: bytes

    @property
    def commitments(self) -> bytes:
        """Both commitments: they are sealed along as associated data."""
        return self.self_commitment + self.key_commitment

    def to_bytes(self) -> bytes:
        """Return the record."""
        return self.commitments + self.box

    @classmethod
    def of(cls, record: bytes) -> Sealed:
        """Read a record of ``SEALED`` bytes."""
        return cls(record[:DIGEST], record[DIGEST : 2 * DIGEST], record[2 * DIGEST :])


def vouched(record: bytes) -> bytes:
    """Return the SHA-256 of the payload of an advertisement, with its signature."""
    return hashlib.sha256(Advert.HEAD + record[: Advert.SIZE]).digest() + record[Advert.SIZE :]


def advert_leaf(record: bytes) -> bytes:
    """Return the Merkle leaf of an advertisement with its signature: what is hashed is the payload's digest."""
    return leaf(vouched(record))


def split_records(data: bytes, size: int, count: int) -> list[bytes]:
    """Cut a byte string into ``count`` records.

    Raises:
        Malformed: If it has another length.
    """
    if len(data) != size * count:
        raise Malformed(f"expected {count} records of {size} bytes, got {len(data)} bytes")
    return [data[start : start + size] for start in range(0, len(data), size)]


def frame_size(kind: Kind, *, clients: int, rostered: int, topology: Topology, dim: int, bits: int) -> int:
    """Return the one size that frames of a kind have in one sum, whatever happens in it.

    Args:
        kind: The kind of message.
        clients: Size of the cohort.
        rostered: Size of the roster.
        topology: How many neighbours and witnesses there are.
        dim: Coordinates on the wire.
        bits: Bits of a coordinate.
    """
    members, holders = (clients + 7) // 8, topology.holders
    proof = HASH + proof_limit(holders, clients)
    payload = {
        Kind.PLAN: 512 + (rostered + 7) // 8,
        Kind.ADVERT: Advert.SIZE,
        Kind.KEYS: members + proof + holders * (Advert.SIZE + SIGNATURE),
        Kind.SHARES: holders * SEALED,
        Kind.INBOX: members + holders * SEALED,
        Kind.MASKED: packed_size(dim, bits),
        Kind.SURVIVORS: members + proof + holders * (DIGEST + SIGNATURE),
        Kind.AGREEMENT: DIGEST,
        Kind.SIGNATURES: members + topology.witnesses * SIGNATURE,
        Kind.REVEAL: holders * SHARE,
    }
    return ENVELOPE + HEADS + payload[kind]
