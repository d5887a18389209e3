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

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TypeAlias, final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from securefed.aggregation.packing import Words

CHUNK = 1 << 18
"""Bytes that are masked at a time: small enough to stay in the cache while every mask is added."""

LONG = 4 * CHUNK
"""Bytes at a time where threads share the masks: they wait for Python's lock between masks, which costs more than a
cache that holds less."""

WORTH = 32 * CHUNK
"""Bytes of masks for one piece that are worth more threads: to hand them out takes about as long as a mask."""

THREADS = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 4)
"""How many threads add masks: the cipher and the addition let go of Python's lock."""

_ZEROS = bytes(LONG)

_FROM_BLOCK_TWO = GCM(bytes(12))

_Streams: TypeAlias = Sequence[tuple[CipherContext, np.ufunc]]


@final
class Masks:
    """Several masks that are applied together, piece by piece, from the first coordinate to the last.

    Args:
        added: Keys of masks to add.
        subtracted: Keys of masks to take off.
    """

    def __init__(self, *, added: Iterable[bytes] = (), subtracted: Iterable[bytes] = ()) -> None:
        plus, minus = [_keystream(key) for key in added], [_keystream(key) for key in subtracted]
        self._streams: _Streams = [(stream, np.add) for stream in plus] + [(stream, np.subtract) for stream in minus]

    def apply(self, vector: Words) -> None:
        """Change a whole vector, in place."""
        for _ in self.applied(vector[piece] for piece in self.pieces(len(vector), vector.dtype.itemsize)):
            pass

    def pieces(self, length: int, itemsize: int) -> Sequence[slice]:
        """Return where the pieces of a vector lie, of ``CHUNK`` bytes or, under many masks, ``LONG``."""
        step = (LONG if len(self._streams) * CHUNK >= WORTH else CHUNK) // itemsize
        return [slice(start, min(start + step, length)) for start in range(0, length, step)]

    def applied(self, parts: Iterable[Words]) -> Iterator[Words]:
        """Yield the pieces of a vector, each changed in place when it is asked for.

        Long pieces under many masks are shared among threads, each of which adds up masks of its own.
        """
        buffers = [np.empty(LONG, dtype=np.uint8).data for _ in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as pool:
            for part in parts:
                if len(self._streams) * part.nbytes < WORTH:
                    _apply(self._streams, part, buffers[0])
                else:
                    self._share(part, buffers, pool)
                yield part

    def _share(self, part: Words, buffers: Sequence[memoryview], pool: Executor) -> None:
        own, *others = [self._streams[at :: len(buffers)] for at in range(len(buffers))]
        sums = [pool.submit(_sum, streams, part, buffer) for streams, buffer in zip(others, buffers[1:], strict=True)]
        _apply(own, part, buffers[0])
        for each in sums:
            np.add(part, each.result(), out=part)


def add_mask(vector: Words, key: bytes) -> None:
    """Add the mask of ``key`` to ``vector``, in place."""
    Masks(added=[key]).apply(vector)


def subtract_mask(vector: Words, key: bytes) -> None:
    """Take the mask of ``key`` from ``vector``, in place."""
    Masks(subtracted=[key]).apply(vector)


def _sum(streams: _Streams, like: Words, buffer: memoryview) -> Words:
    """Return what masks add to a piece."""
    total = np.zeros_like(like)
    _apply(streams, total, buffer)
    return total


def _apply(streams: _Streams, part: Words, buffer: memoryview) -> None:
    zeros = memoryview(_ZEROS)[: part.nbytes]
    mask = np.frombuffer(buffer, dtype=part.dtype, count=len(part))
    for stream, combine in streams:
        stream.update_into(zeros, buffer)
        combine(part, mask, out=part)


def _keystream(key: bytes) -> CipherContext:
    return Cipher(AES(key), _FROM_BLOCK_TWO).encryptor()
