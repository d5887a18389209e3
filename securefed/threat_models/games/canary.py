"""The worst case: an attacker who knows everything but whether one chosen record is in.

It takes every other record's gradient off the sum and looks along the chosen one's, which is as long as clipping
allows. With Gaussian noise that is the best test there is, so the guesses come close to the theoretical bound, and a
defence that is weaker than it says shows here first. The same scores bound epsilon from below.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np

from securefed.encoding import Vector
from securefed.privacy import auditing
from securefed.rng import seeded
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import SERVER_AND_CLIENTS
from securefed.threat_models.bounds import membership_success
from securefed.threat_models.game import Arm, Measured, Profile, Row, rate
from securefed.threat_models.subjects import Subject, subject
from securefed.threat_models.views import View

CLIENTS = 3
TARGET = "client-0"


def attack(view: View, target: Vector, of: Subject) -> float:
    """Return how much of the target's gradient is in the sum beyond what the corrupted clients added: 0 or 1, noisy."""
    known = sum(of.gradient(*own) for own in view.records.values())
    return float((view.sums[0] - known) @ target / (target @ target))


@lru_cache(maxsize=32)
def scores(kind: str, arm: Arm, trials: int, seed: int) -> tuple[Vector, Vector]:
    """Return the attacker's scores of rounds without and with the target, shape ``(trials // 2,)`` each."""
    of = subject(kind)
    plan = of.plan_of(arm, clients=CLIENTS, records=CLIENTS)
    found = np.zeros(trials)
    for trial in range(trials):
        rng = seeded(seed, "canary", trial)
        places = cohorts.deal(rng, clients=plan.cohort, each=1, among=of.exposed)
        target = of.gradient(*cohorts.shards(places)[TARGET])
        if trial % 2 == 0:
            places[TARGET] = places[TARGET][:0]
        source = cohorts.seeded_sources(seed, arm.defences, "canary", trial)
        recording = cohorts.play(plan, cohorts.shards(places), rng=source, adapter=of.adapter)
        view = View(recording, SERVER_AND_CLIENTS, frozenset(plan.cohort) - {TARGET})
        found[trial] = attack(view, target, of)
    return found[::2], found[1::2]


def play(kind: str, arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the guess about the target is right."""
    out, inside = scores(kind, arm, trials, seed)
    right = int((out <= 0.5).sum() + (inside > 0.5).sum())
    plan = subject(kind).plan_of(arm, clients=CLIENTS, records=CLIENTS)
    bound = membership_success(cohorts.guarantee(plan)) if arm.setting != "none" else None
    return rate(right, trials, chance=0.5, bound=bound, note="every other record is known")


def audit(arm: Arm, trials: int, seed: int) -> Measured:
    """Return the largest epsilon that the scores refute, at a confidence of 95 %, against the claimed one."""
    found = auditing.paired(*scores("cachefl", arm, trials, seed))
    lowest = auditing.epsilon_of_mu(found.mu(), cohorts.DELTA)
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS)
    claimed = cohorts.guarantee(plan).epsilon(cohorts.DELTA) if arm.setting != "none" else None
    plain = found.epsilon(delta=cohorts.DELTA)
    return Measured(
        value=lowest,
        low=lowest,
        high=max(lowest, claimed or lowest),
        chance=0.0,
        bound=claimed,
        n=trials,
        note=f"without assuming Gaussian noise: {plain:.2f}",
    )


MASKED = Arm(defences="masks", claim="none", secure="mask")
PRIVATE = Arm(defences="masks and shares of noise", claim="claimed", setting="distributed", secure="mask")


def row(name: str, kind: str, arms: tuple[Arm, ...], trials: dict[Profile, int]) -> Row:
    """Return the row of one kind of adapter."""
    return Row(
        id=name,
        title=f"tell whether a record is in the sum of {kind} updates, knowing all others",
        adversary=SERVER_AND_CLIENTS,
        measure="share of right guesses, in or out",
        play=partial(play, kind),
        arms=arms,
        trials=trials,
        covers=frozenset({kind} | {arm.secure for arm in arms}),
    )


CLIENTS_WHOLE = Arm(
    defences="masks and shares of noise for whole clients", claim="claimed", setting="client-level", secure="mask"
)
"""A client's whole data is one record here, whose gradient is as long as clipping allows: no other moves a sum more."""

ROW = row(
    "T04",
    "cachefl",
    (Arm(defences="none", claim="control", limit=0.9), MASKED, PRIVATE, CLIENTS_WHOLE),
    {"smoke": 80, "full": 200},
)

OTHERS = tuple(
    row(f"T04-{kind}", kind, (Arm(defences="none", claim="control", limit=0.8), PRIVATE), {"smoke": 24, "full": 60})
    for kind in ("fedclip", "flora", "linear", "clip-adapter", "prompts")
)
"""The same for every other adapter that there is: the attack needs nothing but its gradient."""

AUDIT = Row(
    id="T08",
    title="refute the stated epsilon with a chosen record",
    adversary=SERVER_AND_CLIENTS,
    measure=f"largest refuted epsilon at delta {cohorts.DELTA:g}",
    play=audit,
    arms=(Arm(defences="none", claim="control", limit=cohorts.EPSILON), MASKED, PRIVATE),
    trials={"smoke": 80, "full": 200},
    covers=frozenset({"cachefl", "plain", "mask"}),
)
