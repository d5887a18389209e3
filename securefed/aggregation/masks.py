"""Masks: the AES-256-CTR keystream of a key, added to or taken from a vector.

The mask of a key is its keystream from counter block zero, read as little-endian words of the ring's word size;
only the low ``bits`` bits of a word count, since the word's modulus is a multiple of the ring's. A key makes one
mask and is used once. To an observer without the key the mask is uniform as long as AES is a pseudo-random
permutation (NIST SP 800-38A).
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from securefed.aggregation.packing import Words

CHUNK = 1 << 18
"""Bytes of keystream made at a time: small enough to stay in the cache, large enough to hide the call."""

_ZEROS = bytes(CHUNK)


def add_mask(vector: Words, key: bytes) -> None:
    """Add the mask of ``key`` to ``vector``, in place."""
    _apply(np.add, vector, key)


def subtract_mask(vector: Words, key: bytes) -> None:
    """Take the mask of ``key`` from ``vector``, in place."""
    _apply(np.subtract, vector, key)


def _apply(operation: np.ufunc, vector: Words, key: bytes) -> None:
    encryptor = Cipher(AES(key), CTR(bytes(16))).encryptor()
    size = vector.dtype.itemsize
    buffer = bytearray(min(CHUNK, vector.nbytes))
    words = np.frombuffer(buffer, dtype=vector.dtype)
    for start in range(0, len(vector), CHUNK // size):
        part = vector[start : start + CHUNK // size]
        encryptor.update_into(memoryview(_ZEROS)[: part.nbytes], buffer)
        operation(part, words[: len(part)], out=part)
