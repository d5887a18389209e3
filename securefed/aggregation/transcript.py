"""The public record of one masked sum: append-only, hash-chained, signed; whoever has the roster can verify it.

A line is canonical JSON and holds the SHA-256 of the line before, so nothing can be changed, left out or moved. It
holds digests and signatures of messages, never the messages: there is no secret and no masked vector in it. The last
line carries the server's signature; its hash, the *head*, goes into the next round's context.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, final

from securefed.aggregation.graph import Graph
from securefed.aggregation.identity import Identity
from securefed.aggregation.keys import label
from securefed.aggregation.members import Members
from securefed.aggregation.packing import to_ring
from securefed.aggregation.session import Session
from securefed.aggregation.wire import Kind
from securefed.encoding import RingVector

FORMAT = 3


def nowhere(line: str) -> None:
    """Write a line nowhere."""


@final
class Transcript:
    """The record that a server writes while a sum goes on.

    Args:
        session: The sum.
        identity: The server's identity.
        write: Called with every line as it is made, without its newline.

    Attributes:
        lines: Every line so far.
        head: SHA-256 of the last line, 32 bytes; before the first, the head of the round before.
    """

    def __init__(self, session: Session, identity: Identity, write: Callable[[str], object] = nowhere) -> None:
        self.lines: list[str] = []
        self.head = session.parameters.context.previous
        self._session = session
        self._identity = identity
        self._write = write
        self._append({"kind": "plan", "format": FORMAT, "plan": session.plan.hex()})

    def dealt(self, graph: Graph, sharing: Members) -> None:
        """Record what was dealt in an earlier round, whose record holds the signatures of it."""
        sets = {"members": graph.members.to_bytes().hex(), "sharing": sharing.to_bytes().hex()}
        self._append({"kind": "dealt", "root": graph.root.hex()} | sets)

    def vouched(self, kind: Kind, place: int, checksum: bytes, signature: bytes) -> None:
        """Record that a client's answer was what it owed: the payload's hash, and the signature of it."""
        entry = {"kind": "answer", "message": kind.name, "payload": checksum.hex(), "signature": signature.hex()}
        self._append(entry | {"client": self._session.name(place)})

    def refusal(self, place: int, reason: str) -> None:
        """Record that a client's answer was put aside."""
        self._append({"kind": "refusal", "client": self._session.name(place), "reason": reason})

    def members(self, kind: Kind, members: Members) -> None:
        """Record who is left after a kind of answer."""
        self._append({"kind": "members", "message": kind.name, "members": members.to_bytes().hex()})

    def close(self, total: RingVector) -> None:
        """Record the sum's digest and sign everything."""
        self._append({"kind": "total", "digest": total_digest(total, self._session.parameters.bits).hex()})
        self._append({"kind": "signature", "signature": self._identity.sign(signed(self.head)).hex()})

    def _append(self, entry: dict[str, Any]) -> None:
        line = canonical(entry | {"previous": self.head.hex(), "line": len(self.lines)})
        self.head = hashlib.sha256(line.encode()).digest()
        self.lines.append(line)
        self._write(line)


def canonical(entry: dict[str, Any]) -> str:
    """Return the one JSON text of an entry."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def total_digest(total: RingVector, bits: int) -> bytes:
    """Return SHA-256 of a sum, as little-endian 64-bit integers."""
    return hashlib.sha256(to_ring(total, bits).astype("<u8").tobytes()).digest()


def signed(head: bytes) -> bytes:
    """Return what the server signs at the end."""
    return label("transcript", head)
