"""Every message of the secure sums: who sends it to whom, what it says, what of a record is in it, and its size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.identity import Federation
from securefed.aggregation.parameters import DIGEST, Context, Parameters, default_threshold
from securefed.aggregation.session import Session
from securefed.aggregation.wire import Kind
from securefed.rng import seeded

CLIENTS, DIM, BITS = 8, 5120, 32
"""Of the sums whose sizes are shown: the cohort, ring and vector of a default run on digits."""

NOTHING = "nothing"


@final
@dataclass(frozen=True, slots=True)
class Content:
    """What a kind of message holds.

    Attributes:
        way: Who sends it to whom.
        says: Its fields.
        records: What in it depends on records, and for whom.
    """

    way: str
    says: str
    records: str = NOTHING


MASKED = {
    Kind.PLAN: Content("server → client", "round, ring, length, thresholds, digests of plan and model, cohort"),
    Kind.ADVERT: Content("client → server", "public keys, and commitments to seeds, for the rounds of a deal"),
    Kind.KEYS: Content("server → client", "the neighbours' signed advertisements, and the proof of the graph"),
    Kind.SHARES: Content("client → server", "shares of seeds and keys, each sealed to one neighbour"),
    Kind.INBOX: Content("server → client", "the neighbours' sealed shares for this client"),
    Kind.MASKED: Content("client → server", "the masked vector", "the vector, under masks: uniform for the server"),
    Kind.SURVIVORS: Content("server → client", "who is in the sum, and the neighbours' signatures on their vectors"),
    Kind.AGREEMENT: Content("client → server", "a digest of who is in the sum, signed"),
    Kind.SIGNATURES: Content("server → client", "the witnesses' signatures on that digest"),
    Kind.REVEAL: Content(
        "client → server", "of each neighbour one share: of its seed if it is in the sum, else of its key"
    ),
}
"""Of a masked sum; later rounds of a deal leave out ADVERT, KEYS and SHARES."""

ENCRYPTED = {
    Kind.PUBLIC_KEY: Content("decryptor → server → client", "the lattice key, and the key of the openers' boxes"),
    Kind.ENCRYPTED: Content("client → server", "bodies: the half that holds the vector", "the vector, encrypted"),
    Kind.OPENERS: Content("client → decryptor", "openers: the other half, sealed to the decryptor"),
    Kind.RELEASE: Content("server → decryptor", "who is in the sum, and the sum of the bodies", "their sum, encrypted"),
    Kind.RELEASED: Content("decryptor → server", "the sum", "the noisy sum, in clear"),
}
"""Of an encrypted sum."""

SHARED_KEY = frozenset({Kind.SUM, Kind.OPENED, Kind.WHOLE})
"""Only where clients share a key, which nobody gets without asking for it, and which promises nothing."""


@final
@dataclass(frozen=True, slots=True)
class Field:
    """A kind of message, and its size."""

    kind: Kind
    content: Content
    size: int


def fields() -> Iterator[Field]:
    """Yield every message of a masked and of an encrypted sum, with its size in bytes as the sums have it."""
    members = Federation.throwaway(parameters().cohort, rng=seeded(0, "sizes"))
    masked = Session(parameters(), members.roster)
    encrypted = HomomorphicSum(parameters(), members, scheme="ckks").session
    yield from (Field(kind, content, masked.frame_size(kind)) for kind, content in MASKED.items())
    yield from (Field(kind, content, encrypted.frame_size(kind)) for kind, content in ENCRYPTED.items())


def parameters() -> Parameters:
    """Return the sum whose sizes are shown."""
    return Parameters(
        bits=BITS,
        dim=DIM,
        cohort=tuple(f"client-{number}" for number in range(CLIENTS)),
        threshold=default_threshold(CLIENTS),
        context=Context(task="sizes", round=1, model=bytes(DIGEST), plan=bytes(DIGEST)),
        limit=2 ** (BITS - 4),
    )
