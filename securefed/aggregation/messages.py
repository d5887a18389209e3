"""What the messages say: records of one size, and the size of every frame.

Every list is one byte string of equal records in the order of the clients' places, so a message has one encoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import final

from securefed.aggregation.identity import SIGNATURE
from securefed.aggregation.keys import KEY, TAG, payload_hash
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

PAIR = 2 * DIGEST
"""Bytes of what is said of one round's two secrets: two commitments, two shares, or a key and a commitment."""


@final
@dataclass(frozen=True, slots=True)
class Advert:
    """The public half of a client's secrets for one deal, round by round.

    Attributes:
        box_key: X25519 key under which shares are sealed to this client.
        mask_keys: X25519 keys that pairwise masks come from.
        self_masks: Commitments to the seeds of the self masks.
    """

    box_key: bytes
    mask_keys: tuple[bytes, ...]
    self_masks: tuple[bytes, ...]

    @staticmethod
    def size(rounds: int) -> int:
        """Return how many bytes a record has."""
        return KEY + rounds * PAIR

    def encode(self) -> bytes:
        """Return the payload of an ADVERT."""
        return encode([], [self.to_bytes()])

    @classmethod
    def decode(cls, payload: bytes, *, rounds: int) -> Advert:
        """Read the payload of an ADVERT.

        Raises:
            Malformed: If it is not one, for so many rounds.
        """
        _, (record,) = decode(payload, numbers=0, strings=1)
        if len(record) != cls.size(rounds):
            raise Malformed(f"expected an advertisement of {cls.size(rounds)} bytes, got {len(record)}")
        return cls.of(record)

    @classmethod
    def of(cls, record: bytes) -> Advert:
        """Read a record: the key of the boxes, then a key and a commitment a round."""
        box_key, *pairs = [record[at : at + KEY] for at in range(0, len(record), KEY)]
        return cls(box_key, tuple(pairs[::2]), tuple(pairs[1::2]))

    def to_bytes(self) -> bytes:
        """Return the record."""
        pairs = zip(self.mask_keys, self.self_masks, strict=True)
        return self.box_key + b"".join([key + commitment for key, commitment in pairs])


@final
@dataclass(frozen=True, slots=True)
class Sealed:
    """Shares of one owner for one holder, two a round of the deal, sealed and committed to.

    Attributes:
        commitments: Commitments to all shares, in the order of the shares; they are sealed along as associated data.
        box: All shares, sealed to the holder: round by round, one of the self mask's seed, one of the mask key.
    """

    commitments: bytes
    box: bytes

    @staticmethod
    def size(rounds: int) -> int:
        """Return how many bytes a record has."""
        return 2 * rounds * PAIR + TAG

    @classmethod
    def of(cls, record: bytes) -> Sealed:
        """Read a record: the commitments, then the box."""
        cut = (len(record) - TAG) // 2
        return cls(record[:cut], record[cut:])

    @staticmethod
    def committed(record: bytes, slot: int) -> tuple[bytes, bytes]:
        """Return one round's two commitments of a record: to the share of a self mask's seed, and of a mask key."""
        at = slot * PAIR
        return record[at : at + DIGEST], record[at + DIGEST : at + PAIR]


def vouched(record: bytes) -> bytes:
    """Return the hash of the payload of an advertisement, with its signature."""
    advert = record[:-SIGNATURE]
    return payload_hash(_head(len(advert)) + advert).digest() + record[-SIGNATURE:]


@lru_cache(maxsize=16)
def _head(length: int) -> bytes:
    """Return what a payload of one record begins with: all advertisements of a deal have one length."""
    return array_head(1) + string_head(length)


def advert_leaf(record: bytes) -> bytes:
    """Return the Merkle leaf of an advertisement with its signature: what is hashed is the payload's digest."""
    return leaf(vouched(record))


def check_records(data: bytes, size: int, count: int) -> None:
    """Refuse a byte string that is not made of ``count`` records.

    Raises:
        Malformed: If it has another length.
    """
    if len(data) != size * count:
        raise Malformed(f"expected {count} records of {size} bytes, got {len(data)} bytes")


def split_records(data: bytes, size: int, count: int) -> list[bytes]:
    """Cut a byte string into ``count`` records; raises as :func:`check_records`."""
    check_records(data, size, count)
    return [data[start : start + size] for start in range(0, len(data), size)]


LOCK = SHARE + TAG
"""Bytes of a box with a share of a lock's key."""


def frame_size(
    kind: Kind,
    *,
    clients: int,
    rostered: int,
    topology: Topology,
    dim: int,
    bits: int,
    rounds: int,
    locks: bool = False,
) -> int:
    """Return the one size that frames of a kind have in one sum, whatever happens in it.

    Args:
        kind: The kind of message.
        clients: Size of the cohort.
        rostered: Size of the roster.
        topology: How many neighbours and witnesses there are.
        dim: Coordinates on the wire.
        bits: Bits of a coordinate.
        rounds: How many rounds the deal serves.
        locks: Whether what is revealed is locked.
    """
    members, holders = (clients + 7) // 8, topology.holders
    proof = HASH + proof_limit(holders, clients)
    payload = {
        Kind.PLAN: 512 + (rostered + 7) // 8,
        Kind.ADVERT: Advert.size(rounds),
        Kind.KEYS: members + proof + holders * (Advert.size(rounds) + SIGNATURE),
        Kind.SHARES: holders * Sealed.size(rounds),
        Kind.INBOX: members + holders * Sealed.size(rounds),
        Kind.MASKED: packed_size(dim, bits),
        Kind.SURVIVORS: members + proof + holders * (DIGEST + SIGNATURE),
        Kind.AGREEMENT: DIGEST,
        Kind.SIGNATURES: members + topology.witnesses * SIGNATURE,
        Kind.REVEAL: holders * SHARE + (TAG + clients * (LOCK + KEY) if locks else 0),
    }
    return ENVELOPE + HEADS + payload[kind]
