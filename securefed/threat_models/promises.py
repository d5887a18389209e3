"""What is promised, against whom, under which assumption; the rows that try to break it; and what is not promised.

``SECURITY.md`` is made from this. A promise names its evidence, rows of the scorecard or moves of the protocol audit,
and the non-goals that bound it, by their ids: a promise without evidence cannot be written down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from securefed.errors import ConfigError
from securefed.threat_models.adversaries import (
    AUDITOR,
    COLLUDERS,
    CURIOUS_SERVER,
    DECRYPTOR,
    MALICIOUS_CLIENT,
    MALICIOUS_SERVER,
    NETWORK,
    OUTSIDER,
    SERVER_AND_CLIENTS,
    SYBILS,
    Adversary,
)


@final
@dataclass(frozen=True, slots=True)
class NonGoal:
    """Something that is not protected.

    Attributes:
        id: Stable name.
        title: What it is, in a few words.
        text: What exactly, and what helps.
    """

    id: str
    title: str
    text: str


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """One guarantee against one adversary.

    Attributes:
        adversary: Against whom.
        guarantee: What it does not learn or cannot do.
        assumption: What that rests on.
        rows: Rows of the scorecard that try to break it.
        moves: Moves of the protocol audit that do.
        beyond: Non-goals that bound it.

    Raises:
        ConfigError: If nothing tries to break it.
    """

    adversary: Adversary
    guarantee: str
    assumption: str
    rows: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a promise that nobody tries to break."""
        if not self.rows and not self.moves:
            raise ConfigError(f"nothing tries to break the promise {self.guarantee!r}; name a row or a move")


HONEST_SHARES = "the honest clients add their share of the noise; at most `max_colluders` show theirs"
PRIMITIVES = "the primitives below; the roster's keys are those of the parties"

PROMISES = (
    Promise(
        adversary=CURIOUS_SERVER,
        guarantee="masked sums: learns the sum of the survivors' vectors modulo `2**bits`, who survived, and nothing"
        " else about a vector, its records, or how many there are",
        assumption=f"fewer clients than the threshold work with it; {PRIMITIVES}",
        rows=("T06", "T12", "T17"),
        moves=("P01", "P02", "P03", "P04", "P07", "P09"),
        beyond=("X01", "X02"),
    ),
    Promise(
        adversary=CURIOUS_SERVER,
        guarantee="`distributed` with `mask`, `ckks` or `bfv`: all it sees is (ε, δ)-differentially private for one "
        "record, so no record can be rebuilt, recognised or found by more than the stated bound",
        assumption=HONEST_SHARES,
        rows=("T01", "T02", "T02t", "T03", "T05"),
        beyond=("X03", "X04", "X05"),
    ),
    Promise(
        adversary=CURIOUS_SERVER,
        guarantee="`per-client`: each client's message is (ε, δ)-differentially private by itself",
        assumption="that client's own software and generator",
        rows=("T01", "T02", "T02t", "T05"),
        beyond=("X03", "X04"),
    ),
    Promise(
        adversary=CURIOUS_SERVER,
        guarantee="encrypted sums: what is released holds nothing of the decryptor's key",
        assumption="the proved noise bound; releases pass the decryptor's gate",
        rows=("T16",),
        beyond=("X06",),
    ),
    Promise(
        adversary=MALICIOUS_SERVER,
        guarantee="masked sums: cannot single a client out with another model, subtract two sums of one model, get "
        "both secrets of a client, lower a floor, or forge, replay and downgrade messages, by the moves "
        "that are listed",
        assumption=f"the clients run their agents unchanged, with journals; {PRIMITIVES}",
        rows=("T09", "T10", "T11", "T13"),
        moves=("S01", "S02", "S06", "S09", "S16", "S17", "S20", "S23", "S24", "S25"),
        beyond=("X07", "X08", "X16"),
    ),
    Promise(
        adversary=NETWORK,
        guarantee="the sizes of messages say nothing about records or how many there are",
        assumption="transport encryption (TLS) hides contents; no layer compresses",
        rows=("T18",),
        moves=("P08", "N11", "N12"),
        beyond=("X09",),
    ),
    Promise(
        adversary=COLLUDERS,
        guarantee="other clients: what they see, adapters and sums, has the stated ε",
        assumption=HONEST_SHARES,
        rows=("T04", "T08"),
        beyond=("X03", "X10"),
    ),
    Promise(
        adversary=SERVER_AND_CLIENTS,
        guarantee="server and clients together, fewer than the threshold, open no single vector; what they see has "
        "the stated ε, which is stated for this coalition, for a record or, under `client-level`, for a "
        "client's whole data",
        assumption=HONEST_SHARES,
        rows=(
            "T04",
            "T04-fedclip",
            "T04-flora",
            "T04-linear",
            "T04-clip-adapter",
            "T04-prompts",
            "T08",
            "T14",
            "T15",
        ),
        moves=("P05", "P06", "D02"),
        beyond=("X04", "X10"),
    ),
    Promise(
        adversary=DECRYPTOR,
        guarantee="decryptor, with any clients: opens sums, and no single vector",
        assumption="it does not work with the server, nor reads what the server receives (TLS)",
        rows=("T15",),
        beyond=("X06",),
    ),
    Promise(
        adversary=MALICIOUS_CLIENT,
        guarantee="cannot speak for another client, be counted twice, or make a sum wrong unnoticed by anything but "
        "the vector that it adds",
        assumption=PRIMITIVES,
        rows=("T13",),
        moves=("C01", "C05", "C06", "C08", "C10", "C11"),
        beyond=("X11", "X12"),
    ),
    Promise(
        adversary=MALICIOUS_CLIENT,
        guarantee="rounds in random groups (`securefed.grouped`): a few clients whose vectors are longer than "
        "honest ones, random or of flipped signs steer or destroy no adapter",
        assumption="fewer than half of the groups hold one of them, or the round is refused; no noise that is "
        "longer than what it hides",
        rows=("T19", "T21a", "T21b"),
        beyond=("X11",),
    ),
    Promise(
        adversary=SYBILS,
        guarantee="nobody joins whom the roster does not name, and no cohort is padded",
        assumption="whoever signs the roster admits one name a client",
        rows=("T13",),
        moves=("S13", "S14"),
        beyond=("X10",),
    ),
    Promise(
        adversary=OUTSIDER,
        guarantee="whoever gets the adapter: it has the stated ε, or less, and no keys that were made from records",
        assumption=HONEST_SHARES,
        rows=("T07", "T23"),
        beyond=("X04", "X15"),
    ),
    Promise(
        adversary=AUDITOR,
        guarantee="a later auditor finds what was charged, summed and signed, and no vector, share or mask",
        assumption="the roster's root is compared with one from elsewhere",
        rows=("T03",),
        moves=("P11", "P12"),
        beyond=("X13",),
    ),
)
"""Everything that is claimed."""

NON_GOALS = (
    NonGoal(
        "X01",
        "Masks or encryption without noise",
        "A sum says who is in it: under setting `none` records are told and rebuilt from perfectly secure sums (T01,"
        " T03, arms `masks`). Setting `none` promises nothing; every output is stamped NOT PRIVATE.",
    ),
    NonGoal(
        "X02",
        "Quantum computers",
        "Masks and boxes rest on X25519: who records them today and has a quantum computer one day takes them off. "
        "The noise stays.",
    ),
    NonGoal(
        "X03",
        "A record that several clients hold, or several records of one person",
        "The unit is one record (one client under `client-level`).",
    ),
    NonGoal(
        "X04",
        "What is true of a group",
        "Differential privacy for records does not hide what all of a client's or everybody's records have in "
        "common, such as which classes occur often.",
    ),
    NonGoal(
        "X05",
        "A server with `plain` sums",
        "It is trusted with every update, which carries that client's share of the noise only; the sums and the "
        "adapter have the stated ε for everybody else.",
    ),
    NonGoal(
        "X06",
        "Server and decryptor together",
        "They open every vector of an encrypted sum, unless `inner_mask` is set (T15, last arm).",
    ),
    NonGoal(
        "X07",
        "Malicious servers beyond the listed moves",
        "The protocol carries signatures, commitments and a consistency phase, and every move that we know of fails "
        "(T09 to T13, `securefed audit`). There is no proof against all moves, and none is claimed. Nothing makes a "
        "server finish a round, or keeps it from publishing another adapter.",
    ),
    NonGoal(
        "X08",
        "Couriers",
        "Whoever carries messages to a client's agent, such as the ClientApp that a SuperLink ships, gains what a "
        "hostile network has, if the agent runs as another user. As the same user it can read the agent's files and "
        "memory.",
    ),
    NonGoal(
        "X09",
        "Who takes part, and when",
        "Addresses, times and numbers of messages show it, as does the plan.",
    ),
    NonGoal(
        "X10",
        "More colluders or sybils than planned",
        "Each one more takes a share of noise away under `distributed` and `client-level`, and from the threshold on"
        " they open vectors (T14, control). Only `per-client` does not depend on others.",
    ),
    NonGoal(
        "X11",
        "Poisoning",
        "A client may send any vector that fits the ring. Masks hide it; in the default sum nothing bounds its "
        "influence but the ring. Random groups with a gate and a median bear vectors that are longer than honest "
        "ones; one as long as an honest one still moves the result (T20), the more the more noise there is, and "
        "each client then hides among its group only.",
    ),
    NonGoal(
        "X12",
        "Availability and free riders",
        "Server and clients can stop a round, which shows; a client can add nothing, which does not. Neither is "
        "prevented.",
    ),
    NonGoal(
        "X13",
        "The owner of a ledger",
        "A ledger detects edits and truncation of its chain, and with a mirror (`--mirror`) an older copy of itself."
        " Somebody who deletes it, or puts ledger and mirror back together, starts with a fresh budget.",
    ),
    NonGoal(
        "X14",
        "Timing, memory and disk of a client",
        "Python cannot reliably erase secrets from memory; noise sampling is not constant-time.",
    ),
    NonGoal(
        "X15",
        "Public choices, and accuracy on the held-out split",
        "Class names, the expected number of records, hyper-parameters and who takes part are public. If you choose "
        "them by looking at private records, that is outside the guarantee. Accuracy is printed and stored; the "
        "held-out images are not covered by any ε.",
    ),
    NonGoal(
        "X16",
        "Servers that were killed",
        "A killed server asks the same requests again, byte for byte, and gets the same answers; other requests for "
        "a model that a client has contributed to are refused. A masked vector lies on the server's disk until its "
        "round is over.",
    ),
    NonGoal(
        "X17",
        "Flower's control interface",
        "In Flower's open-source build it has no authentication: whoever reaches it starts and stops apps and "
        "registers nodes. `securefed deploy` binds it to the loopback address, where it has to stay.",
    ),
    NonGoal(
        "X18",
        "Simulation",
        "`securefed run` and the examples play all parties in one process: whoever runs that process sees "
        "everything. Keys are made on the spot where no roster is given.",
    ),
    NonGoal(
        "X19",
        "Personal adapters",
        "Whoever is given the file of one, or may ask it for predictions, faces a model that was trained without "
        "privacy.",
    ),
    NonGoal(
        "X20",
        "The embedded model",
        "It was trained on generated images only. It is a small model for tests and demonstrations.",
    ),
)
"""Everything that is not."""
