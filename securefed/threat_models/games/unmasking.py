"""Take a client's masks off with shares of its secrets: by collusion, or by asking for both kinds of share.

The server has every masked vector. With both secrets of a client it computes the client's masks and subtracts them; a
secret takes as many shares as the threshold says. The shares are those that the installed clients really hold.
"""

from __future__ import annotations

from collections.abc import Collection

from securefed.aggregation.audit import ROWS, run_row
from securefed.aggregation.audit.rig import Rig
from securefed.aggregation.derivations import pair_mask_key, self_mask_key
from securefed.aggregation.keys import agree, load
from securefed.aggregation.masks import Masks
from securefed.aggregation.packing import Words, unpack
from securefed.aggregation.shamir import combine
from securefed.aggregation.wire import decode
from securefed.threat_models.adversaries import MALICIOUS_SERVER, SERVER_AND_CLIENTS
from securefed.threat_models.game import Arm, Measured, Row, rate

CLIENTS = 7
BELOW = "one colluder less than the threshold"
ASKED = ("S01", "S02", "S03", "S04", "S05", "S18", "S19", "S20", "P09")
"""Rows of the protocol audit in which a server asks for more shares than it may have."""


def unmask(rig: Rig, target: int, holders: Collection[int]) -> bool:
    """Return whether these holders' shares, all pooled, give the target's vector."""
    minds = {place: rig.mind(rig.session.name(place)).shares[target] for place in holders}
    seed = combine({place + 1: held.self_mask for place, held in minds.items()}, threshold=len(minds))
    private = combine({place + 1: held.mask_key for place, held in minds.items()}, threshold=len(minds))
    name, adverts = rig.session.name(target), rig.state.dealt.adverts
    try:
        secret = load(private)
    except ValueError:
        return False
    pairs = {
        peer: pair_mask_key(rig.session, target, peer, agree(secret, advert.mask_keys[0]))
        for peer, advert in adverts.items()
        if peer != target
    }
    words = _masked(rig, name)
    keys = [self_mask_key(rig.session, target, seed)]
    Masks(
        added=[key for peer, key in pairs.items() if peer < target],
        subtracted=keys + [key for peer, key in pairs.items() if peer > target],
    ).apply(words)
    return bool((words[: rig.parameters.dim] == rig.vectors[name]).all())


def _masked(rig: Rig, name: str) -> Words:
    payload = rig.answer_payload("mask", name, rig.wire["mask", name, "answer"])
    _, (packed,) = decode(payload, numbers=0, strings=1)
    return unpack(packed, dim=rig.session.length, bits=rig.parameters.bits).copy()


def collude(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often server and colluders open a client's vector."""
    opened = 0
    for trial in range(trials):
        rig = Rig(CLIENTS)
        rig.run_until("agree")
        target = trial % CLIENTS
        others = [place for place in range(CLIENTS) if place != target]
        threshold = rig.session.topology.share_threshold
        opened += unmask(rig, target, others[: threshold - (arm.defences == BELOW)])
    return rate(opened, trials, chance=0.0, note=f"{CLIENTS} clients, {threshold} shares open a secret")


def ask_for_both(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often a server that may ask for both kinds of share, or tries to, gets a vector."""
    if arm.claim == "control":
        return collude(arm, trials, seed)
    rows = [row for row in ROWS if row.id in ASKED]
    return rate(sum(not run_row(row).holds for row in rows), len(rows), chance=0.0, note="moves: " + ", ".join(ASKED))


COLLUSION = Row(
    id="T14",
    title="pool the server's messages with shares that colluding clients hold",
    adversary=SERVER_AND_CLIENTS,
    measure="share of targets whose vector is opened",
    play=collude,
    arms=(
        Arm(defences="as many colluders as the threshold", claim="control", limit=0.5, secure="mask"),
        Arm(defences=BELOW, claim="claimed", limit=0.0, secure="mask"),
    ),
    trials={"smoke": 14, "full": 35},
    covers=frozenset({"mask"}),
)

BOTH = Row(
    id="T11",
    title="ask for shares of both secrets of a client",
    adversary=MALICIOUS_SERVER,
    measure="share of moves that succeed",
    play=ask_for_both,
    arms=(
        Arm(defences="none: clients give both", claim="control", limit=0.5, secure="mask"),
        Arm(defences="signed agreement on survivors", claim="claimed", limit=0.0, secure="mask"),
    ),
    trials={"smoke": 14, "full": 35},
    covers=frozenset({"mask"}),
)
