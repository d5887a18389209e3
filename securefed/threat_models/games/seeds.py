"""Search the seed of a mask: what a generator with a small seed gives away at once."""

from __future__ import annotations

import numpy as np

from securefed.aggregation import shamir
from securefed.aggregation.audit.rig import Rig
from securefed.aggregation.derivations import self_mask_key
from securefed.aggregation.masks import add_mask
from securefed.rng import secure, seeded
from securefed.threat_models.adversaries import CURIOUS_SERVER
from securefed.threat_models.game import Arm, Measured, Row, rate

SEARCHED = 10
"""Bits that the attacker searches; every further bit doubles the work."""


def candidate(number: int) -> bytes:
    """Return a seed that a generator of few bits makes."""
    return seeded(number, "few bits").bytes(32)


def mask_of(rig: Rig, seed: bytes) -> bytes:
    """Return the first four words of the mask that a seed makes."""
    words = np.zeros(4, dtype=np.uint32)
    add_mask(words, self_mask_key(rig.session, 0, seed))
    return words.tobytes()


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often a search among ``2**SEARCHED`` seeds finds the one that made a mask."""
    rig = Rig()
    table = {mask_of(rig, candidate(number)) for number in range(2**SEARCHED)}
    drawn = seeded(seed, "numbers").uint64(trials) % np.uint64(2**SEARCHED)
    few = arm.claim == "control"
    seeds = [candidate(int(number)) if few else shamir.draw(secure()) for number in drawn]
    return rate(
        sum(mask_of(rig, each) in table for each in seeds),
        trials,
        chance=0.0,
        bound=None if few else 2.0 ** (SEARCHED - 254),
        note=f"{2**SEARCHED} seeds tried",
    )


ROW = Row(
    id="T12",
    title="search the seeds of masks",
    adversary=CURIOUS_SERVER,
    measure="share of masks whose seed is found",
    play=play,
    arms=(
        Arm(defences=f"seeds of {SEARCHED} bits", claim="control", limit=0.8, secure="mask"),
        Arm(defences="seeds of the protocol", claim="claimed", limit=0.0, secure="mask"),
    ),
    trials={"smoke": 40, "full": 200},
    covers=frozenset({"mask"}),
)
