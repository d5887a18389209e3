"""Who is there: a challenge that a client answers with its rostered key.

An engine knows machines by numbers that change from run to run. A greeting finds out which client is behind which
machine; it is also the ping that wakes what starts slowly. It decides only where requests are sent: what counts in a
sum is the signature on each frame.
"""

from __future__ import annotations

from securefed.aggregation.identity import SIGNATURE, Identity, Roster, is_signed
from securefed.aggregation.keys import label
from securefed.aggregation.refusals import Malformed
from securefed.aggregation.wire import decode, encode

MAGIC = b"SFHI"
NONCE = 32
"""Bytes of a challenge."""


def challenge(nonce: bytes) -> bytes:
    """Return the request that asks who is there."""
    return MAGIC + nonce


def is_challenge(request: bytes) -> bool:
    """Tell whether a request asks who is there."""
    return request.startswith(MAGIC)


def introduce(request: bytes, identity: Identity, roster: Roster) -> bytes:
    """Return a client's answer: its name, and its signature over challenge and roster.

    Raises:
        Malformed: If the challenge has another length.
    """
    if len(request) != len(MAGIC) + NONCE:
        raise Malformed(f"a challenge has {len(MAGIC) + NONCE} bytes, this one has {len(request)}")
    return encode([], [identity.name.encode(), identity.sign(_statement(request, roster))])


def recognise(request: bytes, answer: bytes, roster: Roster) -> str | None:
    """Return who answered, or None if it is nobody in the roster."""
    try:
        _, (name, signature) = decode(answer, numbers=0, strings=2)
    except Malformed:
        return None
    public = roster.clients.get(name.decode(errors="replace"))
    if public is None or len(signature) != SIGNATURE or not is_signed(public, _statement(request, roster), signature):
        return None
    return name.decode()


def _statement(request: bytes, roster: Roster) -> bytes:
    return label("greeting", roster.root) + request[len(MAGIC) :]
