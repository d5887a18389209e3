"""Polynomials as arrays of residues, and everything that is done to them without a key: check, pack, add, weigh.

A polynomial is its coefficients modulo each prime, uint64 of shape ``(primes, degree)``; a ciphertext is two of them.
What comes from others is read here, number by number, and compared with its modulus; TenSEAL's own parser never sees a
byte that another party wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from securefed.aggregation.packing import pack, packed_size, to_ring, unpack
from securefed.aggregation.refusals import Malformed, Transparent
from securefed.aggregation.wire import Buffer

Residues: TypeAlias = npt.NDArray[np.uint64]
"""Polynomials, shape ``(..., primes, degree)``; every number is below its prime."""

GROUP = 8
"""Polynomials that are packed together: fewer are slower, more take more memory."""


@final
class Modulus:
    """Arithmetic of residues modulo some primes of at most 60 bits.

    Args:
        primes: The primes.
        bits: Bits that a residue takes on the wire.
        degree: Degree of the ring.
    """

    def __init__(self, primes: Sequence[int], *, bits: int, degree: int) -> None:
        self.bits = bits
        self.shape = (len(primes), degree)
        self.primes = tuple(primes)
        self._primes = np.array(primes, dtype=np.uint64)[:, np.newaxis]

    @property
    def size(self) -> int:
        """Bytes of one packed polynomial."""
        return packed_size(int(np.prod(self.shape)), self.bits)

    def pack(self, polynomials: Residues) -> Buffer:
        """Return polynomials as ``size`` bytes each: a polynomial ends where a byte does."""
        return pack(polynomials.reshape(-1), self.bits)

    def unpack(self, data: bytes | memoryview) -> Residues:
        """Return the polynomials that follow each other in some bytes, after every number is checked.

        Raises:
            Malformed: If the length is no multiple of ``size``, or a number is not below its prime.
        """
        count, rest = divmod(len(data), self.size)
        if rest or not count:
            raise Malformed(f"{len(data)} bytes are no whole number of polynomials of {self.size}")
        found = np.empty((count, *self.shape), dtype=np.uint64)
        for first in range(0, count, GROUP):
            some = found[first : first + GROUP]
            packed = bytes(data[first * self.size : (first + len(some)) * self.size])
            some[:] = to_ring(unpack(packed, dim=some.size, bits=self.bits), self.bits).reshape(some.shape)
            self._check(some)
        return found

    def add(self, total: Residues, more: Residues) -> None:
        """Add polynomials to a running total, in place."""
        total += more
        self._reduce(total)

    def add_weighted(self, total: Residues, more: Residues, weight: int) -> None:
        """Add ``weight`` times some polynomials to a running total, by doubling."""
        power = more
        while weight:
            if weight & 1:
                self.add(total, power)
            weight >>= 1
            if weight:
                power = power + power
                self._reduce(power)

    def zeros(self, count: int) -> Residues:
        """Return a running total of nothing."""
        return np.zeros((count, *self.shape), dtype=np.uint64)

    def _reduce(self, values: Residues) -> None:
        """Bring numbers below twice their prime ``p`` below it: ``x - p`` is the smaller unless it wraps."""
        for one in values:
            np.minimum(one, one - self._primes, out=one)

    def _check(self, polynomials: Residues) -> None:
        if bool((polynomials >= self._primes).any()):
            raise Malformed("a ciphertext holds a number that is not below its prime")


def check_opaque(openers: Residues) -> None:
    """Refuse openers that are nothing: a body that no opener belongs to is read by whoever sees it.

    Raises:
        Transparent: If one is zero modulo a prime.
    """
    if not openers.any(axis=-1).all():
        raise Transparent("a ciphertext has no opener: whoever sees it reads its content")
