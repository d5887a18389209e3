"""A coin that nobody chooses: every client commits to a nonce before any nonce is opened.

Each client opens once, under one list of commitments that holds its own, and the coin is a hash of list and nonces. So
whoever knows the list and all other nonces knows nothing of the coin until this client opens, and cannot change the
list afterwards. All must open, or the toss is void: leaving somebody out would be a choice. Whoever makes a toss void
gets another draw, so tosses are counted by whoever asks for them. Messages need no signatures: clients that were shown
other commitments get other coins, and a coin belongs into the context of what it decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import final

from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.refusals import Replay
from securefed.errors import OutOfTurn, ProtocolError
from securefed.rng import Source

NONCE = 32
"""Bytes of a nonce."""


@final
class Tosser:
    """One client's part in one toss.

    Args:
        name: The client.
        context: What the coin is for, 32 bytes.
        rng: Where the nonce comes from; :func:`securefed.rng.secure` in use.

    Attributes:
        commitment: What it publishes first, 32 bytes; it hides the nonce and binds to it.
    """

    def __init__(self, name: str, context: bytes, *, rng: Source) -> None:
        self._name, self._context, self._nonce = name, context, rng.bytes(NONCE)
        self.commitment = _commitment(name, context, self._nonce)
        self._agreed: dict[str, bytes] = {}

    def open(self, commitments: Mapping[str, bytes]) -> bytes:
        """Return the nonce, once everybody has committed.

        Raises:
            Replay: If this client has opened before.
            ProtocolError: If its own commitment is not in the list.
        """
        if self._agreed:
            raise Replay(f"{self._name!r} has opened its nonce; there is one opening in a toss")
        if commitments.get(self._name) != self.commitment:
            raise ProtocolError(f"the commitments shown to {self._name!r} do not hold its own; its nonce stays closed")
        self._agreed = dict(sorted(commitments.items()))
        return self._nonce

    def coin(self, nonces: Mapping[str, bytes]) -> bytes:
        """Return the coin, 32 bytes.

        Raises:
            OutOfTurn: If this client has not opened yet.
            ProtocolError: If somebody did not open, or opened another nonce than it committed to: the toss is void.
        """
        if not self._agreed:
            raise OutOfTurn("a coin is known after this client opened its nonce")
        for name, commitment in self._agreed.items():
            nonce = nonces.get(name, b"")
            if len(nonce) != NONCE or _commitment(name, self._context, nonce) != commitment:
                raise ProtocolError(f"{name!r} did not open what it committed to; the toss is void, toss again")
        opened = b"".join(self._agreed[name] + nonces[name] for name in self._agreed)
        return hashlib.sha256(b"securefed/1/coin\0" + self._context + opened).digest()


def toss(tossers: Mapping[str, Tosser]) -> bytes:
    """Toss a coin among clients in this process and return it, :data:`DIGEST` bytes.

    Raises:
        ProtocolError: If clients come to different coins.
    """
    commitments = {name: each.commitment for name, each in tossers.items()}
    nonces = {name: each.open(commitments) for name, each in tossers.items()}
    coins = {each.coin(nonces) for each in tossers.values()}
    if len(coins) != 1 or {len(coin) for coin in coins} != {DIGEST}:
        raise ProtocolError(f"{len(tossers)} clients came to {len(coins)} coins; the toss is void, toss again")
    return coins.pop()


def _commitment(name: str, context: bytes, nonce: bytes) -> bytes:
    return hashlib.sha256(b"securefed/1/coin nonce\0" + context + nonce + name.encode()).digest()
