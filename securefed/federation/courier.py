"""Carries one message to an agent over its Unix socket and brings the answer back: what Flower's ClientApp does.

Imports neither torch nor Flower, so a process that is started for one message costs little more than its start.

::

    request   8 bytes length, big-endian; then as many bytes
    answer    8 bytes length, big-endian; 1 byte, 0 for an answer and 1 for a refusal; then the rest
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import final

from securefed.errors import SecureFedError

LENGTH = struct.Struct(">Q")
ANSWER, REFUSAL = b"\0", b"\1"
LARGEST = 1 << 34
"""Bytes that a message may have: more is a broken peer, not a vector."""


@final
class Refused(SecureFedError):
    """The agent refused; the message is what it said."""


@final
class Unreachable(SecureFedError):
    """The agent is not there, or went away before it answered."""


def carry(path: Path, request: bytes, *, patience: float = 600.0) -> bytes:
    """Return an agent's answer to a request.

    Args:
        path: The agent's socket.
        request: Any message.
        patience: Seconds of silence after which the agent is given up.

    Raises:
        Refused: If the agent refuses.
        Unreachable: If there is no agent, or none any more.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(patience)
        try:
            connection.connect(str(path))
            send(connection, request)
            answer = receive(connection)
        except OSError as error:
            raise Unreachable(f"no agent answers at {path}: {error}. Is it running? May this user reach it?") from error
    if answer[:1] == ANSWER:
        return answer[1:]
    raise Refused(answer[1:].decode(errors="replace"))


def send(connection: socket.socket, *parts: bytes) -> None:
    """Send one message that is made of parts."""
    # Nothing is sent after the last byte, not even nothing: whoever has all of it may have hung up.
    for part in (LENGTH.pack(sum(map(len, parts))), *filter(None, parts)):
        connection.sendall(part)


def receive(connection: socket.socket, *, largest: int = LARGEST) -> bytes:
    """Return one message.

    Raises:
        ConnectionError: If it breaks off, or is longer than ``largest``.
    """
    (length,) = LENGTH.unpack(_exactly(connection, LENGTH.size))
    if length > largest:
        raise ConnectionError(f"a message of {length} bytes is announced, {largest} are taken")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    """Return the next ``count`` bytes; memory grows with what has come, not with what was announced."""
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(min(count - len(parts), 1 << 20))
        if not part:
            raise ConnectionError(f"it ended after {len(parts)} of {count} bytes")
        parts += part
    return bytes(parts)
