"""Tell which classes a client has, from the rows of its gradient.

In the rows of a class's keys, the class's own records pull one way and all others push the other way. Real digits have
much in common after a whitening that was made from generated ones, and an attacker with digits of its own knows what:
along that direction, the rows of a present class are negative.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from securefed.encoding import Vector
from securefed.rng import Source, seeded
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import CURIOUS_SERVER
from securefed.threat_models.bounds import membership_success
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.views import View

if TYPE_CHECKING:
    from securefed.adapters.cachefl import CacheFL

CLIENTS = 4
TARGET = "client-0"


def attack(view: View) -> npt.NDArray[np.bool_]:
    """Return which classes the target is said to have, shape ``(classes,)``."""
    plan, start = view.plan, cast("CacheFL", view.start)
    values = start.values.numpy()
    matrix = cohorts.what_is_known(view, TARGET).reshape(len(values), -1)
    evidence = values.T @ (matrix @ common_direction())
    summands = plan.clients if plan.secure != "plain" else 1
    spread = np.sqrt(cohorts.noise_variance(plan, summands=summands) * values.sum(0))
    return np.asarray(evidence < -spread)


@lru_cache(maxsize=1)
def common_direction() -> Vector:
    """Return what whitened digits have in common, estimated on digits of the attacker's own, shape ``(dim,)``."""
    whitening = cohorts.world().adapter.whitening
    own = cohorts.world().test[0].double()
    mean = (own if whitening is None else whitening(own)).mean(0).numpy()
    return np.asarray(mean / np.linalg.norm(mean))


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
        Arm(defences="none", claim="control", limit=0.8),
        Arm(defences="masks", claim="none", secure="mask"),
        Arm(defences="own noise", claim="claimed", setting="per-client"),
        Arm(defences="masks and shares of noise", claim="claimed", setting="distributed", secure="mask"),
    ),
    trials={"smoke": 120, "full": 1200},
    covers=frozenset({"cachefl", "plain", "mask"}),
)
