"""Poison what a federation learns: a vector that makes one class pass for another, noise, or flipped signs.

Malicious clients contribute what they like, within the ring; masks hide who it was. In the control, the server takes
the mean. With the defence on, clients stand in random groups by a coin of their own, each group has a sum of its own,
groups beyond the gate are dropped, and the median of the groups' means is taken. A vector no longer than an honest one
passes every gate, and what a median then leaves of it is measured, not promised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Literal, TypeAlias, final

import numpy as np
import torch

from securefed.encoding import RingVector
from securefed.grouped import Robustness, moved_by, part
from securefed.plan import Plan
from securefed.rng import Source, seeded
from securefed.rounds import Client, ServerState, contribution
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import MALICIOUS_CLIENT
from securefed.threat_models.game import Arm, Measured, Row, rate

CLIENTS, EACH, ROUNDS = 15, 20, 3
FROM, TO = 3, 8
LOSS, PASSED = 0.1, 0.25
"""An attack succeeds if accuracy falls by this much, or if this share of one class passes for the other."""

Poison: TypeAlias = Literal["backdoor", "noise", "signs"]

MEAN = "mean of all"
GATE = "random groups, gate, mean"
MEDIAN = "random groups, median"
ALL = "masks, random groups, gate, median"
OWN = "own noise, random groups, gate, median"


@final
@dataclass(frozen=True, slots=True)
class Attack:
    """What malicious clients do.

    Attributes:
        poison: What for.
        clients: How many they are.
        boost: Length of each of their vectors, as a multiple of the longest that an honest client's may be; what the
            ring does not hold is cut off.
    """

    poison: Poison
    clients: int
    boost: float


BOOSTED = Attack("backdoor", clients=1, boost=15.0)
IN_NORM = Attack("backdoor", clients=2, boost=1.0)
NOISE = Attack("noise", clients=1, boost=1e6)
SIGNS = Attack("signs", clients=1, boost=15.0)
NOTHING = Attack("signs", clients=0, boost=0.0)

RULES: dict[str, Robustness] = {
    MEDIAN: Robustness(size=3, faulty=2, gated=False),
    GATE: Robustness(size=3, faulty=2, rule="mean"),
    ALL: Robustness(size=3, faulty=2),
    OWN: Robustness(size=3, faulty=2),
}
"""What each arm with groups wants to bear: five groups of three, two of which may be bad."""


def poisoned(attack: Attack, plan: Plan, client: Client, state: ServerState, rng: Source) -> RingVector:
    """Return what a malicious client contributes."""
    features, labels = client.features, client.labels
    if attack.poison == "backdoor":
        features = cohorts.world().features[cohorts.world().labels == FROM]
        labels = torch.full((len(features),), TO)
    honest = state.adapter.record_gradients(features, labels).weighted_sum(torch.ones(len(labels))).numpy()
    vector = {"noise": rng.generator().normal(size=plan.dim), "signs": -honest, "backdoor": honest}[attack.poison]
    length = attack.boost * EACH * plan.clip_norm
    return plan.encoding.encode(length * vector / max(float(np.linalg.norm(vector)), 1e-12))


def aggregated(
    arm: Arm, plan: Plan, state: ServerState, vectors: dict[str, RingVector], *, number: int, rng: Source
) -> ServerState:
    """Move the adapter as an arm does it."""
    if arm.defences == MEAN:
        total = sum(vectors.values(), start=np.zeros(plan.dim, dtype=np.uint64)) & plan.encoding.modulus_mask
        return state.moved(plan, plan.encoding.decode(total))
    parted = part(plan, state, RULES[arm.defences], run="game", number=number, rng=lambda *_: rng)
    return moved_by(plan, state, parted, vectors, rng=lambda _: rng).state


@lru_cache(maxsize=256)
def train(arm: Arm, attack: Attack, seed: int, trial: int) -> ServerState:
    """Train, with malicious clients or without, and return what came out."""
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS * EACH, rounds=ROUNDS)
    rng = seeded(seed, "poisoning", trial)
    dealt = cohorts.shards(cohorts.deal(rng, clients=plan.cohort, each=EACH))
    clients = {name: Client(name, *own, cohorts.UNMETERED) for name, own in dealt.items()}
    state = ServerState.initial(cohorts.world().adapter)
    for number in range(1, ROUNDS + 1):
        vectors = {
            name: poisoned(attack, plan, client, state, rng)
            if name in plan.cohort[: attack.clients]
            else contribution(plan, state.adapter, client, run="game", number=number, rng=rng)
            for name, client in clients.items()
        }
        state = aggregated(arm, plan, state, vectors, number=number, rng=rng)
    return state


def passing(state: ServerState) -> float:
    """Return which share of held-out images of one class passes for the other."""
    features, labels = cohorts.world().test
    return float((state.adapter.logits(features[labels == FROM]).argmax(1) == TO).double().mean())


def accuracy(state: ServerState) -> float:
    """Return the accuracy on held-out images."""
    return state.adapter.accuracy(*cohorts.world().test)


def play(attack: Attack, arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the attack does what it is for."""
    arm = replace(arm, claim="none", limit=None)  # whatever is claimed, training is the same
    pairs = [[train(arm, each, seed, trial) for each in (NOTHING, attack)] for trial in range(trials)]
    before, after = (np.array([accuracy(pair[at]) for pair in pairs]) for at in (0, 1))
    passed = np.array([passing(pair[1]) for pair in pairs])
    worked = passed >= PASSED if attack.poison == "backdoor" else after <= before - LOSS
    note = f"accuracy {before.mean():.3f} without, {after.mean():.3f} with it; {price(arm)}"
    if attack.poison == "backdoor":
        note = f"{passed.mean():.3f} of the class pass; {note}"
    return rate(int(worked.sum()), trials, chance=0.0, note=note)


def price(arm: Arm) -> str:
    """Return in words among how many clients each one hides, and what passes the gate."""
    if arm.defences == MEAN:
        return f"hiding set {CLIENTS}"
    wanted = RULES[arm.defences]
    if not wanted.gated:
        return f"hiding set {wanted.size}"
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS * EACH, rounds=ROUNDS)
    loose = wanted.gate(plan).looseness(wanted.size)
    return f"hiding set {wanted.size}; the gate passes {loose:.1f} times what honest clients may add up to"


def row(name: str, attack: Attack, title: str, *, claimed: bool = True) -> Row:
    """Return the row of one attack."""
    claim: Literal["claimed", "none"] = "claimed" if claimed else "none"
    limit = 0.0 if claimed else None
    return Row(
        id=name,
        title=title,
        adversary=MALICIOUS_CLIENT,
        measure=f"share of runs in which it works, {attack.clients} of {CLIENTS} clients",
        play=partial(play, attack),
        arms=(
            Arm(defences=MEAN, claim="control", limit=0.3),
            Arm(defences=GATE, claim=claim, limit=limit),
            Arm(defences=MEDIAN, claim=claim, limit=limit),
            Arm(defences=ALL, claim=claim, limit=limit, secure="mask"),
            Arm(defences=OWN, claim="none", setting="per-client"),
        ),
        trials={"smoke": 4, "full": 8},
        covers=frozenset({"cachefl", "plain", "mask"}),
    )


ROWS = (
    row("T19", BOOSTED, "make one class pass for another by a boosted vector"),
    row("T20", IN_NORM, "make one class pass for another by vectors as long as honest ones", claimed=False),
    row("T21a", NOISE, "destroy the adapter with noise"),
    row("T21b", SIGNS, "destroy the adapter with flipped signs"),
)
