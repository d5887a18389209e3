"""A client's vector as ciphertexts cut in two, and running sums of either half.

A ciphertext is a pair ``(c0, c1)`` whose content is ``c0 + c1 s``, up to noise, for the secret key ``s``. Here ``c0``
is the *body*: it holds the vector, hidden. ``c1`` is the *opener*: it says nothing of the vector, and without it the
key opens no body. Both halves add up, each by itself, so nobody who adds needs both.
"""

from __future__ import annotations

from typing import final

import numpy as np

from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.refusals import Malformed, Replay
from securefed.aggregation.residues import GROUP, Residues
from securefed.aggregation.seal import PublicKey
from securefed.encoding import RingVector


def encrypt(session: EncryptedSession, key: PublicKey, vector: RingVector) -> tuple[bytearray, bytearray]:
    """Return the packed bodies and the packed openers of a vector, made a few ciphertexts at a time.

    Args:
        session: The sum.
        key: The public key.
        vector: Shape ``(session.dim,)``.
    """
    lanes, modulus = session.encryption.lanes, session.ring.data
    bodies, openers = bytearray(), bytearray()
    starts = range(0, session.dim, lanes.coordinates)
    for first in range(0, len(starts), GROUP):
        parts = (vector[start : start + lanes.coordinates] for start in starts[first : first + GROUP])
        both = np.stack([key.encrypt(lanes.encode(part)) for part in parts], axis=1)
        bodies += modulus.pack(both[0])
        openers += modulus.pack(both[1])
    return bodies, openers


def unpacked(session: EncryptedSession, packed: bytes, *, halves: int = 1) -> Residues:
    """Return the polynomials of one half of a vector's ciphertexts, or of both, after every number is checked.

    Raises:
        Malformed: If there are more or fewer than the sum has, or a number is not below its prime.
    """
    if len(packed) != halves * session.half:
        raise Malformed(f"an encrypted vector has {halves * session.half} bytes here, not {len(packed)}")
    return session.ring.data.unpack(packed)


@final
class RunningSum:
    """The weighted sum of one half of the ciphertexts of distinct clients, or of both.

    Args:
        session: The sum.
        halves: 2 if bodies are followed by openers.

    Attributes:
        total: The sum, shape ``(polynomials, primes, degree)``.
    """

    def __init__(self, session: EncryptedSession, *, halves: int = 1) -> None:
        self._session = session
        self._places: set[int] = set()
        self.total = session.ring.data.zeros(halves * session.encryption.lanes.plaintexts(session.dim))

    @property
    def places(self) -> tuple[int, ...]:
        """The clients in the sum, sorted."""
        return tuple(sorted(self._places))

    def check(self, place: int) -> None:
        """Refuse a client that is in the sum already.

        Raises:
            Replay: If it is.
        """
        if place in self._places:
            raise Replay(f"{self._session.name(place)!r} is in this sum already")

    def add(self, place: int, polynomials: Residues) -> None:
        """Add what a client sent, as often as its public weight says."""
        self.check(place)
        self._session.ring.data.add_weighted(self.total, polynomials, self._session.weights[place])
        self._places.add(place)
