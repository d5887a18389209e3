"""Who attacks: what each adversary sees of a run and what it may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, unique
from typing import final


@final
@unique
class Sight(Enum):
    """What can be seen of a recorded run; each value is the name of an attribute of a view."""

    PLAN = "plan"
    START = "start"
    RELEASED = "released"
    ADAPTERS = "adapters"
    SUMS = "sums"
    SURVIVORS = "survivors"
    MESSAGES = "messages"
    SIZES = "sizes"
    RECORDS = "records"


PUBLIC = frozenset({Sight.PLAN, Sight.START, Sight.RELEASED})
"""What is published with an adapter."""

INSIDE = PUBLIC | {Sight.ADAPTERS, Sight.SUMS, Sight.SURVIVORS}
"""What every party of a run comes to know; sums follow from two adapters."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Adversary:
    """Somebody who attacks.

    Attributes:
        id: Stable name.
        capability: What it does, in words.
        sees: What it can read of a run. Of records, only those of the clients that it has corrupted.
        deviates: Whether it may send what no honest party would send.
        corrupts: Whom it controls.
    """

    id: str
    capability: str
    sees: frozenset[Sight]
    deviates: bool
    corrupts: str


CURIOUS_SERVER = Adversary(
    id="curious server",
    capability="follows the protocol, keeps every message and computes what it can",
    sees=INSIDE | {Sight.MESSAGES, Sight.SIZES},
    deviates=False,
    corrupts="the server",
)

MALICIOUS_SERVER = Adversary(
    id="malicious server",
    capability="sends what it likes to whom it likes, drops, repeats and forges",
    sees=INSIDE | {Sight.MESSAGES, Sight.SIZES},
    deviates=True,
    corrupts="the server and its signing key",
)

NETWORK = Adversary(
    id="network observer",
    capability="sees who sends how much to whom, and when; transport encryption hides the rest",
    sees=frozenset({Sight.SIZES}),
    deviates=False,
    corrupts="the wire",
)

COLLUDERS = Adversary(
    id="colluding clients",
    capability="pool what they know; they follow the protocol",
    sees=INSIDE | {Sight.RECORDS},
    deviates=False,
    corrupts="some clients",
)

SERVER_AND_CLIENTS = Adversary(
    id="server and clients",
    capability="pool every message, every share and the corrupted clients' secrets",
    sees=INSIDE | {Sight.MESSAGES, Sight.SIZES, Sight.RECORDS},
    deviates=True,
    corrupts="the server and some clients",
)

DECRYPTOR = Adversary(
    id="decryptor",
    capability="holds the key of encrypted sums; it does not receive the clients' messages",
    sees=INSIDE,
    deviates=False,
    corrupts="the decryptor",
)

MALICIOUS_CLIENT = Adversary(
    id="malicious client",
    capability="contributes any vector that fits the ring, under its true name",
    sees=INSIDE | {Sight.RECORDS},
    deviates=True,
    corrupts="one client or a few",
)

SYBILS = Adversary(
    id="sybils",
    capability="many clients of one person, admitted or invented",
    sees=INSIDE | {Sight.RECORDS},
    deviates=True,
    corrupts="as many names as the roster admits",
)

OUTSIDER = Adversary(
    id="outsider",
    capability="has the released adapter and the public plan",
    sees=PUBLIC,
    deviates=False,
    corrupts="nobody",
)

AUDITOR = Adversary(
    id="later auditor",
    capability="reads the run's folder years later: plan, adapters, transcripts without vectors",
    sees=INSIDE,
    deviates=False,
    corrupts="nobody",
)

ADVERSARIES = (
    CURIOUS_SERVER,
    MALICIOUS_SERVER,
    NETWORK,
    COLLUDERS,
    SERVER_AND_CLIENTS,
    DECRYPTOR,
    MALICIOUS_CLIENT,
    SYBILS,
    OUTSIDER,
    AUDITOR,
)
"""Everybody that is thought of."""
