"""Send what somebody else should have sent: forged, changed, replayed, downgraded messages, keys and rosters."""

from __future__ import annotations

import numpy as np

from securefed.aggregation.audit import ROWS, run_row
from securefed.aggregation.packing import pack
from securefed.aggregation.parameters import Context, Parameters
from securefed.aggregation.plain import PlainSum
from securefed.rng import seeded
from securefed.threat_models.adversaries import SYBILS
from securefed.threat_models.game import Arm, Measured, Row, rate

ABOUT = ("N", "S06", "S07", "S08", "S09", "S10", "S11", "S12", "S13", "S14", "S15", "S16", "S17", "S23", "S24", "S25")
"""Rows of the protocol audit in which somebody forges, replays, downgrades, pads or substitutes."""


def forge_plain(seed: int, trial: int) -> bool:
    """Answer a plain sum in another client's name; return whether the forged vector is in the total."""
    names = ("client-0", "client-1", "client-2")
    parameters = Parameters(
        bits=32,
        dim=4,
        cohort=names,
        threshold=3,
        context=Context(task="game", round=1, model=bytes(32), plan=bytes(32)),
    )
    vectors = {name: seeded(seed, name, trial).uint64(4) % np.uint64(1000) for name in names}
    server = PlainSum(parameters).server()
    server.collect({name: bytes(pack(vector, 32)) for name, vector in vectors.items()})
    return bool((server.total() == sum(vectors.values())).all())


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how many moves succeed; a move of the audit tries every field, bit or phase that there is."""
    if arm.claim == "control":
        return rate(sum(forge_plain(seed, trial) for trial in range(trials)), trials, chance=0.0)
    rows = [row for row in ROWS if row.id.startswith(ABOUT)]
    return rate(sum(not run_row(row).holds for row in rows), len(rows), chance=0.0, note="rows of the protocol audit")


ROW = Row(
    id="T13",
    title="forge, change, replay or downgrade messages, keys and rosters",
    adversary=SYBILS,
    measure="share of moves that succeed",
    play=play,
    arms=(
        Arm(defences="none: plain messages are not signed", claim="control", limit=0.5),
        Arm(defences="signatures, context, roster and floors", claim="claimed", limit=0.0, secure="mask"),
    ),
    trials={"smoke": 20, "full": 40},
    covers=frozenset({"mask", "plain"}),
)
