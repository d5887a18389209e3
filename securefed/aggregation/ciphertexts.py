"""A client's vector as the payload of one message, and a running sum of such payloads.

Whoever adds holds no key here: both the aggregator and the decryptor keep a :class:`RunningSum`, and compare.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import final

import numpy as np

from securefed.aggregation.encrypted_session import VOUCHER, EncryptedSession
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.refusals import Malformed, Replay, WrongContext
from securefed.aggregation.residues import GROUP, Residues
from securefed.aggregation.seal import PublicKey
from securefed.aggregation.wire import Buffer, Kind, array_head, decode, string_head
from securefed.encoding import RingVector


def encrypted(
    session: EncryptedSession, key: PublicKey, fingerprint: bytes, vector: RingVector, voucher: bytes = b""
) -> Iterator[Buffer]:
    """Yield the payload of an ENCRYPTED message in parts, a few ciphertexts at a time.

    Args:
        session: The sum.
        key: The public key.
        fingerprint: SHA-256 of the public key's payload.
        vector: Shape ``(session.dim,)``.
        voucher: Under an inner mask, digest and signature of the masked vector.
    """
    lanes = session.encryption.lanes
    yield array_head(3) + string_head(DIGEST) + fingerprint + string_head(len(voucher)) + voucher
    yield string_head(session.encryption.size(session.dim))
    starts = range(0, session.dim, lanes.coordinates)
    for first in range(0, len(starts), GROUP):
        parts = (vector[start : start + lanes.coordinates] for start in starts[first : first + GROUP])
        yield session.ring.data.pack(np.stack([key.encrypt(lanes.encode(part)) for part in parts]))


@final
class RunningSum:
    """The weighted sum of the ciphertexts of distinct clients, each checked before it is added.

    Args:
        session: The sum.
        fingerprint: SHA-256 of the public key under which they must be made.

    Attributes:
        vouchers: What came along under an inner mask, by place; its keys are the clients in the sum.
    """

    def __init__(self, session: EncryptedSession, fingerprint: bytes) -> None:
        self.vouchers: dict[int, bytes] = {}
        self._session = session
        self._fingerprint = fingerprint
        self._modulus = session.ring.data
        self.total = self._modulus.zeros(session.encryption.lanes.plaintexts(session.dim))

    @property
    def places(self) -> tuple[int, ...]:
        """The clients in the sum, sorted."""
        return tuple(sorted(self.vouchers))

    @property
    def digest(self) -> bytes:
        """SHA-256 of the sum's ciphertexts."""
        return hashlib.sha256(self.total.astype("<u8", copy=False).data).digest()

    def take(self, place: int, data: bytes) -> None:
        """Add a client's ENCRYPTED frame.

        Raises:
            ProtocolError: As :meth:`read` does; nothing is added then.
        """
        self.add(place, *self.read(place, data))

    def read(self, place: int, data: bytes) -> tuple[bytes, Residues]:
        """Return voucher and ciphertexts of a client's ENCRYPTED frame, after everything about it is checked.

        Raises:
            Replay: If this client is in the sum.
            Malformed: If the frame is not one of this sum, or a number of it is not below its prime.
            WrongContext: If it was made for another sum, or under another key.
            WrongSender: If another client made it.
            BadSignature: If the client did not sign it.
            Transparent: If a ciphertext hides nothing.
        """
        session = self._session
        if place in self.vouchers:
            raise Replay(f"{session.name(place)!r} is in this sum already")
        payload = session.read(Kind.ENCRYPTED, data, sender=place, receiver=session.server)
        _, (fingerprint, voucher, packed) = decode(payload, numbers=0, strings=3)
        if fingerprint != self._fingerprint:
            raise WrongContext("a vector was encrypted under another key than this sum's")
        if len(voucher) != (VOUCHER if session.inner else 0) or len(packed) != session.encryption.size(session.dim):
            raise Malformed(f"an encrypted vector has {session.encryption.size(session.dim)} bytes")
        return voucher, self._modulus.unpack(packed)

    def add(self, place: int, voucher: bytes, ciphertexts: Residues) -> None:
        """Add what :meth:`read` has returned."""
        self._modulus.add_weighted(self.total, ciphertexts, self._session.weights[place])
        self.vouchers[place] = voucher
