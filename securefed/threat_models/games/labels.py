"""Tell which classes a client has, from the rows of its gradient.

In the rows of a class's keys, the class's own records pull one way and all others push the other way. Real digits have
much in common after a whitening that was made from generated ones, and an attacker with digits of its own knows what:
along that direction, the rows of a present class are lower than those of an absent one. How much lower, and what the
other classes add, it learns from sums of its own digits with noise of the size that the plan states.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from securefed.encoding import Vector
from securefed.rng import Source, seeded
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import CURIOUS_SERVER
from securefed.threat_models.bounds import membership_success
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.views import View

CLIENTS = 4
TARGET = "client-0"
OWN, DIRECTIONS = 4000, 4
"""Sums of its own digits that the attacker makes up, and in how many directions it looks at them."""


def attack(view: View) -> npt.NDArray[np.bool_]:
    """Return which classes the target is said to have, shape ``(classes,)``."""
    plan = view.plan
    summands = 1 if plan.secure == "plain" else plan.clients
    rule = learnt(summands - 1, cohorts.noise_variance(plan, summands=summands))
    return np.asarray(_with_one(evidence(cohorts.what_is_known(view, TARGET))) @ rule > 0.5)


def evidence(seen: Vector) -> Vector:
    """Return each class's rows along what varies most in digits, shape ``(..., classes * DIRECTIONS)``."""
    values = cohorts.world().adapter.values.numpy()
    rows = seen.reshape(*seen.shape[:-1], len(values), -1) @ directions()
    return np.asarray(np.swapaxes(rows, -1, -2) @ values).reshape(*seen.shape[:-1], -1)


@lru_cache
def learnt(strangers: int, variance: float) -> Vector:
    """Return how evidence tells presence, by least squares on sums of the attacker's own digits and noise of that size.

    Args:
        strangers: How many records of other clients are in a sum.
        variance: Of the noise in a coordinate.

    Returns:
        Shape ``(classes * DIRECTIONS + 1, classes)``.
    """
    world, draw = cohorts.world(), seeded(0, "own digits").generator()
    rows = cohorts.gradients(world.test[0].double(), world.test[1])
    hard = np.linalg.norm(rows, axis=1) >= cohorts.CLIP * (1 - 1e-9)
    each, of = evidence(rows[hard]), world.test[1].numpy()[hard]
    coins = draw.integers(2, size=(OWN, len(world.classes)))
    keys = np.tile(world.adapter.values.numpy().sum(0), DIRECTIONS)
    sums = draw.normal(size=(OWN, len(keys))) * np.sqrt(variance * keys)
    for c, present in enumerate(coins.T):
        sums += present[:, None] * draw.choice(each[of == c], OWN)
    for _ in range(strangers):
        sums += draw.choice(each, OWN)
    return np.asarray(np.linalg.lstsq(_with_one(sums), coins)[0])


def _with_one(rows: Vector) -> Vector:
    return np.concatenate([rows, np.ones_like(rows[..., :1])], axis=-1)


@lru_cache(maxsize=1)
def directions() -> Vector:
    """Return the main directions of whitened digits of the attacker's own, shape ``(dim, DIRECTIONS)``."""
    whitening = cohorts.world().adapter.whitening
    own = cohorts.world().test[0].double()
    _, _, found = np.linalg.svd((own if whitening is None else whitening(own)).numpy(), full_matrices=False)
    return np.asarray(found[:DIRECTIONS].T)


def places_of(rng: Source, plan_cohort: tuple[str, ...]) -> tuple[dict[str, npt.NDArray[np.int64]], list[bool]]:
    """Give the target one hard record of each class that a coin chooses, and each other client one record."""
    world, generator, exposed = cohorts.world(), rng.generator(), cohorts.exposed()
    labels = world.labels.numpy()[exposed]
    present = [bool(coin) for coin in generator.integers(2, size=len(world.classes))]
    own = [generator.choice(exposed[labels == c]) for c, here in enumerate(present) if here]
    places = {name: generator.choice(exposed, 1) for name in plan_cohort}
    return {**places, TARGET: np.array(own, dtype=np.int64)}, present


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the guess about a class is right."""
    classes = len(cohorts.world().classes)
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS + classes)
    right = 0
    for trial in range(trials // classes):
        places, present = places_of(seeded(seed, "labels", trial), plan.cohort)
        source = cohorts.seeded_sources(seed, arm.defences, "labels", trial)
        view = View(cohorts.play(plan, cohorts.shards(places), rng=source), CURIOUS_SERVER)
        right += int((attack(view) == np.array(present)).sum())
    bound = membership_success(cohorts.guarantee(plan)) if arm.claim == "claimed" else None
    return rate(right, trials // classes * classes, chance=0.5, bound=bound, note="one record of each present class")


ROW = Row(
    id="T05",
    title="tell which classes a client has",
    adversary=CURIOUS_SERVER,
    measure="share of right guesses, present or absent",
    play=play,
    arms=(
        Arm(defences="none", claim="control", limit=0.7),
        Arm(defences="masks", claim="none", secure="mask"),
        Arm(defences="own noise", claim="claimed", setting="per-client"),
        Arm(defences="masks and shares of noise", claim="claimed", setting="distributed", secure="mask"),
    ),
    trials={"smoke": 160, "full": 400},
    covers=frozenset({"cachefl", "plain", "mask"}),
)
