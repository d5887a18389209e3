"""Vectors of ``bits``-bit integers as byte strings without a wasted bit.

The bytes are one little-endian bit string: coordinate ``i`` fills bits ``i * bits`` to ``(i + 1) * bits - 1``, bit
``j`` of the string being bit ``j % 8`` of byte ``j // 8``. Bits after the last coordinate are zero. For 8, 16, 32
and 64 bits this is the usual little-endian array.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from securefed.encoding import RingVector
from securefed.errors import ProtocolError

Words = npt.NDArray[np.unsignedinteger]
"""A vector in the smallest unsigned type that holds its ring; arithmetic wraps modulo the type's size."""

_LANES = 64


def word(bits: int) -> np.dtype[np.unsignedinteger]:
    """Return the smallest little-endian unsigned type that holds ``bits`` bits."""
    size = next(size for size in (1, 2, 4, 8) if bits <= 8 * size)
    return np.dtype(f"<u{size}")


def packed_size(dim: int, bits: int) -> int:
    """Return how many bytes ``dim`` coordinates of ``bits`` bits take."""
    return (dim * bits + 7) // 8


def pack(vector: Words, bits: int) -> bytes | memoryview:
    """Return the byte string of a vector, ``packed_size(dim, bits)`` bytes.

    Args:
        vector: Shape ``(dim,)``, any unsigned type; coordinates are reduced modulo ``2**bits``.
        bits: Size of the ring. For 8, 16, 32 and 64 the vector's own memory is returned where possible.
    """
    if bits == 8 * word(bits).itemsize:
        return np.ascontiguousarray(vector, dtype=word(bits)).data.cast("B")
    blocks = -(-len(vector) // _LANES)
    padded = np.zeros(blocks * _LANES, dtype=np.uint64)
    np.bitwise_and(vector, np.uint64(2**bits - 1), out=padded[: len(vector)], casting="unsafe", dtype=np.uint64)
    lanes = np.ascontiguousarray(padded.reshape(blocks, _LANES).T)
    packed = np.zeros((bits, blocks), dtype=np.uint64)
    for lane, values in enumerate(lanes):
        place, shift = divmod(lane * bits, 64)
        packed[place] |= values << np.uint64(shift)
        if shift + bits > 64:
            packed[place + 1] |= values >> np.uint64(64 - shift)
    return packed.T.astype("<u8").tobytes()[: packed_size(len(vector), bits)]


def unpack(data: bytes, *, dim: int, bits: int) -> Words:
    """Return the vector of a byte string, shape ``(dim,)``, of type ``word(bits)``.

    Raises:
        ProtocolError: If the length differs from ``packed_size(dim, bits)`` or a bit after the last coordinate is
        set.
    """
    if len(data) != packed_size(dim, bits):
        raise ProtocolError(f"a packed vector has {len(data)} bytes, expected {packed_size(dim, bits)}")
    if bits == 8 * word(bits).itemsize:
        return np.frombuffer(data, dtype=word(bits))
    if spare := -dim * bits % 8:
        _refuse_spare_bits(data[-1] >> (8 - spare))
    return _unpack_lanes(data, bits)[:dim]


def _refuse_spare_bits(rest: int) -> None:
    if rest:
        raise ProtocolError("a packed vector has bits set after its last coordinate")


def _unpack_lanes(data: bytes, bits: int) -> Words:
    blocks = -(-len(data) // (8 * bits))
    packed = np.frombuffer(data.ljust(blocks * 8 * bits, b"\0"), dtype="<u8").reshape(blocks, bits).T
    packed = np.ascontiguousarray(packed, dtype=np.uint64)
    lanes = np.empty((blocks, _LANES), dtype=word(bits))
    for lane in range(_LANES):
        place, shift = divmod(lane * bits, 64)
        values = packed[place] >> np.uint64(shift)
        if shift + bits > 64:
            values |= packed[place + 1] << np.uint64(64 - shift)
        lanes[:, lane] = values & np.uint64(2**bits - 1)
    return lanes.reshape(-1)


def to_ring(words: Words, bits: int) -> RingVector:
    """Return words reduced modulo ``2**bits``, as uint64."""
    return words.astype(np.uint64) & np.uint64(2**bits - 1)
