"""Tell how much data a client has, from its message or only from the message's size."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from securefed.rng import seeded
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import CURIOUS_SERVER, NETWORK
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.views import Message, Recording, View

if TYPE_CHECKING:
    from torch import Tensor

CLIENTS, MANY = 4, 20
PAIR = ("client-0", "client-1")
COMPRESSED = "none, and a transport that compresses"


def play_once(arm: Arm, seed: int, trial: int) -> tuple[Recording, str]:
    """Give one of two clients no record and the other many; return the recording and who has many."""
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS * MANY)
    rng = seeded(seed, "traffic", trial)
    dealt = cohorts.shards(cohorts.deal(rng, clients=plan.cohort, each=MANY))
    rich = PAIR[int(rng.generator().integers(2))]
    records = {name: _without(own) if name in PAIR and name != rich else own for name, own in dealt.items()}
    recording = cohorts.play(plan, records, rng=cohorts.seeded_sources(seed, arm.defences, "traffic", trial))
    return recording, rich


def _without(own: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return own[0][:0], own[1][:0]


def by_content(view: View) -> str:
    """Return whose frame has the larger number where padding should be; if none has, whose vector is longer."""

    def evidence(name: str) -> tuple[int, float]:
        padding = sum(
            int.from_bytes(m.content[-8:], "little")
            for m in view.messages
            if m.phase in ("advertise", "mask") and (m.client, m.direction) == (name, "answer")
        )
        return padding, float(np.linalg.norm(cohorts.what_was_sent(view, name)))

    return max(PAIR, key=evidence)


def by_size(view: View) -> str:
    """Return whose messages are longer together; the first if both are as long."""
    return max(PAIR, key=lambda name: sum(size.count for size in view.sizes if size.client == name))


def compressed(recording: Recording) -> Recording:
    """Return a recording as it would be if the transport compressed messages."""
    messages = [Message(m.number, m.phase, m.client, m.direction, zlib.compress(m.content)) for m in recording.messages]
    same = (recording.plan, recording.adapters, recording.sums, recording.survivors)
    return Recording(*same, tuple(messages), recording.records)


def guess_content(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the server names the client that has many records."""
    played = [play_once(arm, seed, trial) for trial in range(trials)]
    right = sum(by_content(View(recording, CURIOUS_SERVER)) == rich for recording, rich in played)
    return rate(right, trials, chance=0.5, note=f"{MANY} records or none")


def guess_size(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the network names the client that has many records."""
    played = [play_once(arm, seed, trial) for trial in range(trials)]
    if arm.defences == COMPRESSED:
        played = [(compressed(recording), rich) for recording, rich in played]
    views = [View(recording, NETWORK) for recording, _ in played]
    right = sum(by_size(view) == rich for view, (_, rich) in zip(views, played, strict=True))
    kinds = {(size.phase, size.direction, size.count) for view in views for size in view.sizes}
    phases = {(phase, direction) for phase, direction, _ in kinds}
    return rate(right, trials, chance=0.5, note=f"{len(kinds)} sizes of {len(phases)} kinds of message")


COUNTS = Row(
    id="T17",
    title="tell who has many records from what it sends",
    adversary=CURIOUS_SERVER,
    measure="share of right names among two",
    play=guess_content,
    arms=(
        Arm(defences="none", claim="control", limit=0.8),
        Arm(defences="masks", claim="claimed", secure="mask"),
        Arm(defences="masks and shares of noise", claim="claimed", setting="distributed", secure="mask"),
    ),
    trials={"smoke": 30, "full": 80},
    covers=frozenset({"plain", "mask"}),
)

SIZES = Row(
    id="T18",
    title="tell who has many records from the sizes of messages",
    adversary=NETWORK,
    measure="share of right names among two",
    play=guess_size,
    arms=(
        Arm(defences=COMPRESSED, claim="control", limit=0.8),
        Arm(defences="frames of one size, plain", claim="claimed"),
        Arm(defences="frames of one size, masks", claim="claimed", secure="mask"),
    ),
    trials={"smoke": 30, "full": 80},
    covers=frozenset({"plain", "mask"}),
)
