"""Frames: what a message looks like as bytes.

::

    0   4   "SFED"
    4   1   version, 3
    5   1   kind of message
    6   4   length of the body, big-endian
    10  .   body: a CBOR array, deterministically encoded (RFC 8949, section 4.2)
    .   .   zeros up to the size that the parameters prescribe for this kind

Only unsigned integers, byte strings and arrays occur, so the reader knows nothing else: no tags, floats, maps, text or
indefinite lengths, no depth beyond one array. It accepts exactly one encoding of every message.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import TypeAlias, final

import cbor2

from securefed.aggregation.refusals import Malformed

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Bytes that may lie in somebody else's array."""

MAGIC = b"SFED"
VERSION = 3
HEADER = 10
"""Bytes before the body."""

_UNSIGNED, _BYTES, _ARRAY = 0, 2, 4


@final
class Kind(IntEnum):
    """Every message there is; even numbers are requests, odd numbers the answers to them."""

    PLAN = 2
    ADVERT = 3
    KEYS = 4
    SHARES = 5
    INBOX = 6
    MASKED = 7
    SURVIVORS = 8
    AGREEMENT = 9
    SIGNATURES = 10
    REVEAL = 11
    PUBLIC_KEY = 12
    ENCRYPTED = 13
    RELEASE = 14
    RELEASED = 15
    SUM = 16
    OPENED = 17
    OPENERS = 19
    WHOLE = 21


def encode(numbers: Sequence[int], strings: Sequence[bytes]) -> bytes:
    """Return the deterministic CBOR array of some numbers, followed by some byte strings."""
    return cbor2.dumps([*numbers, *strings], canonical=True)


def decode(data: bytes, *, numbers: int, strings: int) -> tuple[list[int], list[bytes]]:
    """Return the numbers and the byte strings of a deterministic CBOR array.

    Args:
        data: The bytes; all of them belong to the array.
        numbers: How many unsigned integers it starts with.
        strings: How many byte strings follow.

    Raises:
        Malformed: If the bytes are not the one encoding of such an array.
    """
    major, count, offset = _head(data, 0)
    if major != _ARRAY or count != numbers + strings:
        raise Malformed(f"expected an array of {numbers + strings} fields")
    found_numbers, found_strings = [], []
    for _ in range(numbers):
        number, offset = _number(data, offset)
        found_numbers.append(number)
    for _ in range(strings):
        string, offset = _string(data, offset)
        found_strings.append(string)
    if offset != len(data):
        raise Malformed(f"{len(data) - offset} bytes follow the last field")
    return found_numbers, found_strings


def array_head(count: int) -> bytes:
    """Return what an array of ``count`` items begins with."""
    return cbor2.dumps([None] * count, canonical=True)[:-count]


def string_head(length: int) -> bytes:
    """Return what a byte string of ``length`` bytes begins with."""
    width = next(width for width in (0, 1, 2, 4, 8) if length < (24 if width == 0 else 1 << (8 * width)))
    if width == 0:
        return bytes([_BYTES << 5 | length])
    return bytes([_BYTES << 5 | 23 + width.bit_length()]) + length.to_bytes(width, "big")


def frame(kind: Kind, body: Iterable[Buffer], *, size: int) -> bytes:
    """Return a frame of exactly ``size`` bytes.

    The body comes in parts, each of which is copied to its place before the next is asked for: a part may lie in memory
    that the next part uses again, and a long body is never held twice.
    """
    content = io.BytesIO(bytes(size))
    content.seek(HEADER)
    for part in body:
        content.write(part)
    length = content.tell() - HEADER
    if HEADER + length > size:
        raise Malformed(f"a {kind.name} of {length} bytes does not fit a frame of {size}")
    content.seek(0)
    content.write(MAGIC + struct.pack(">BBI", VERSION, kind, length))
    return content.getvalue()


def unframe(kind: Kind, data: bytes, *, size: int) -> bytes:
    """Return the body of a frame, after its length, version, kind and padding are checked.

    Raises:
        Malformed: If the bytes are not a frame of this kind and size.
    """
    if len(data) != size:
        raise Malformed(f"a {kind.name} frame has {size} bytes, this one has {len(data)}")
    if data[:4] != MAGIC or data[4] != VERSION:
        raise Malformed(f"not a frame of version {VERSION}")
    if data[5] != kind:
        raise Malformed(f"expected a {kind.name} frame (kind {kind:d}), this one is of kind {data[5]}")
    (length,) = struct.unpack_from(">I", data, 6)
    if HEADER + length > size or data.count(0, HEADER + length) != size - HEADER - length:
        raise Malformed(f"the body of {length} bytes is not followed by zeros up to {size} bytes")
    return bytes(data[HEADER : HEADER + length])


def _number(data: bytes, offset: int) -> tuple[int, int]:
    major, value, offset = _head(data, offset)
    if major != _UNSIGNED:
        raise Malformed("expected an unsigned integer")
    return value, offset


def _string(data: bytes, offset: int) -> tuple[bytes, int]:
    major, length, offset = _head(data, offset)
    if major != _BYTES or offset + length > len(data):
        raise Malformed("expected a byte string, or it is cut off")
    return data[offset : offset + length], offset + length


def _head(data: bytes, offset: int) -> tuple[int, int, int]:
    """Return major type and argument of the item at ``offset``, and where its content starts."""
    if offset >= len(data):
        raise Malformed("the message ends before its last field")
    major, short = divmod(data[offset], 32)
    if short < 24:
        return major, short, offset + 1
    if short > 27:
        raise Malformed("lengths are definite")
    width = 1 << (short - 24)
    value = int.from_bytes(data[offset + 1 : offset + 1 + width], "big")
    if offset + 1 + width > len(data) or value < (24 if width == 1 else 1 << (4 * width)):
        raise Malformed("a number is cut off or not in its shortest form")
    return major, value, offset + 1 + width
