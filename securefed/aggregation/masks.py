"""Masks: the AES-256-CTR keystream of a key, added to or taken from a vector.

The mask of a key is its keystream from counter block two, read as little-endian words of the ring's word size; only
the low ``bits`` bits of a word count, since the word's modulus is a multiple of the ring's. A key makes one mask and is
used once. To an observer without the key the mask is uniform as long as AES is a pseudo-random permutation (NIST SP
800-38A).

From block two, because that is how AES-GCM with a nonce of zeros encrypts (NIST SP 800-38D, section 7.1: block one is
kept for the tag), and for GCM OpenSSL has code that uses wide AES instructions: the same keystream in less time than by
its counter mode, where a processor has them. No tag is ever asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from securefed.aggregation.packing import Words

CHUNK = 1 << 17
"""Bytes that are masked at a time: small enough to stay in the cache while every mask is added."""

_ZEROS = bytes(CHUNK)

_FROM_BLOCK_TWO = GCM(bytes(12))


@final
class Masks:
    """Several masks that are applied together, piece by piece, from the first coordinate to the last.

    Args:
        added: Keys of masks to add.
        subtracted: Keys of masks to take off.
    """

    def __init__(self, *, added: Iterable[bytes] = (), subtracted: Iterable[bytes] = ()) -> None:
        self._added = [_keystream(key) for key in added]
        self._subtracted = [_keystream(key) for key in subtracted]
        self._buffer = bytearray(CHUNK)

    def apply(self, part: Words) -> None:
        """Change the next piece of a vector, in place; all pieces but the last have ``CHUNK`` bytes."""
        zeros = memoryview(_ZEROS)[: part.nbytes]
        mask = np.frombuffer(self._buffer, dtype=part.dtype, count=len(part))
        for stream in self._added:
            stream.update_into(zeros, self._buffer)
            np.add(part, mask, out=part)
        for stream in self._subtracted:
            stream.update_into(zeros, self._buffer)
            np.subtract(part, mask, out=part)

    def apply_to_all(self, vector: Words) -> None:
        """Change a whole vector, in place."""
        for piece in pieces(len(vector), vector.dtype.itemsize):
            self.apply(vector[piece])


def pieces(length: int, itemsize: int) -> Iterator[slice]:
    """Return where the pieces of a vector lie."""
    step = CHUNK // itemsize
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


def add_mask(vector: Words, key: bytes) -> None:
    """Add the mask of ``key`` to ``vector``, in place."""
    Masks(added=[key]).apply_to_all(vector)


def subtract_mask(vector: Words, key: bytes) -> None:
    """Take the mask of ``key`` from ``vector``, in place."""
    Masks(subtracted=[key]).apply_to_all(vector)


def _keystream(key: bytes) -> CipherContext:
    return Cipher(AES(key), _FROM_BLOCK_TWO).encryptor()
