"""Shares that open only if enough witnesses agree: to agree and to reveal takes one phase.

What a client would reveal it seals under a fresh key, and shares that key among the witnesses, each share in a box of
its own. The key of a box is derived from a secret that only the client and the witness have, and from what the client
was shown: the digest that everybody signs to agree on the survivors. In the same message every client gives, as a
witness, the keys of the boxes that others have made for it, derived from what *it* was shown. So a share opens where
both were shown the same, and what a client would reveal opens if as many witnesses as the threshold were.

That is the condition under which a client reveals after a phase of its own for signatures, with the same count: of
``n`` clients ``c`` work with the server, and open any box made for them; two digests would take ``2 (t - c) <= n - c``
honest witnesses, which no ``t > (n + c) / 2`` allows. The signatures are made all the same, for the record.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self, final

from securefed.aggregation import shamir
from securefed.aggregation.derivations import lock_key
from securefed.aggregation.keys import KEY, seal, unseal
from securefed.aggregation.messages import LOCK, split_records
from securefed.aggregation.refusals import BadBox
from securefed.aggregation.session import Session
from securefed.aggregation.wire import decode, encode
from securefed.rng import Source


@final
@dataclass(frozen=True, slots=True)
class Locked:
    """What one client would reveal, locked, and what it gives as a witness.

    Attributes:
        content: What it would reveal, sealed.
        boxes: Shares of the key, by witness.
        keys: Keys of boxes that others have made for this client, by owner.
    """

    content: bytes
    boxes: Mapping[int, bytes]
    keys: Mapping[int, bytes]

    @classmethod
    def of(cls, payload: bytes, alive: Iterable[int]) -> Self:
        """Read the payload of a REVEAL.

        Raises:
            Malformed: If it does not hold a box and a key for every survivor.
        """
        places = tuple(alive)
        _, (content, boxes, keys) = decode(payload, numbers=0, strings=3)
        split = (split_records(boxes, LOCK, len(places)), split_records(keys, KEY, len(places)))
        return cls(content, *(dict(zip(places, each, strict=True)) for each in split))

    def encode(self) -> bytes:
        """Return the payload of a REVEAL; both lists are in the order of places."""
        lists = (b"".join(each[place] for place in sorted(each)) for each in (self.boxes, self.keys))
        return encode([], [self.content, *lists])


def lock(
    session: Session, place: int, secrets: Mapping[int, bytes], agreed: bytes, revealed: bytes, *, rng: Source
) -> Locked:
    """Lock what a client would reveal, and give what it owes as a witness.

    Args:
        session: The sum.
        place: The client.
        secrets: What it shares with each survivor, itself among them.
        agreed: What it agrees to.
        revealed: What it would reveal.
        rng: Where the key comes from, and its shares.
    """
    key, witnesses = shamir.draw(rng), sorted(secrets)
    points, threshold = [witness + 1 for witness in witnesses], session.topology.witness_threshold
    (shares,) = shamir.split([key], threshold=threshold, points=points, rng=rng)
    boxes = {
        witness: seal(lock_key(session, secrets[witness], place, witness, agreed), share, b"")
        for witness, share in zip(witnesses, shares, strict=True)
    }
    keys = {owner: lock_key(session, secret, owner, place, agreed) for owner, secret in secrets.items()}
    return Locked(seal(key, revealed, agreed), boxes, keys)


def unlock(session: Session, owner: int, answers: Mapping[int, Locked], agreed: bytes) -> bytes:
    """Return what a client reveals, with the keys that witnesses give.

    Raises:
        ThresholdError: If the keys of too few witnesses fit.
        BadBox: If the client locked something else than it shared the key of.
    """
    boxes, threshold = answers[owner].boxes, session.topology.witness_threshold
    tried = ((witness + 1, _opened(answer.keys[owner], boxes[witness])) for witness, answer in answers.items())
    found = ((point, share) for point, share in tried if share is not None)
    key = shamir.combine(dict(itertools.islice(found, threshold)), threshold=threshold)
    return unseal(key, answers[owner].content, agreed)


def _opened(key: bytes, box: bytes) -> bytes | None:
    """Return the share in a box, or None if the key does not fit."""
    try:
        return unseal(key, box, b"")
    except BadBox:
        return None
