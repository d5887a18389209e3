"""Look for clients' records in the keys that a run starts with.

A cache of few shots has records as keys: whoever gets the adapter has the records' features, whatever noise was added
to its updates. In the control such keys are tagged as public ones, and the run believes it; in the claimed arm they
carry the tag that they deserve, and the package refuses to train them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from securefed.errors import ConfigError
from securefed.rng import Source, seeded
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import OUTSIDER
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.views import View

if TYPE_CHECKING:
    from torch import Tensor

    from securefed.adapters.cachefl import CacheFL

CLIENTS, SAME = 3, 1 - 1e-6
CHECKED = "noise, and keys whose origin is checked"


def attack(view: View, place: int) -> bool:
    """Return whether a record is among the keys."""
    start = cast("CacheFL", view.start)
    return bool((start.keys @ mapped(np.array([place]))[0]).max() > SAME)


def mapped(places: npt.NDArray[np.int64]) -> Tensor:
    """Return the features of records as keys have them, shape ``(n, dim)``."""
    whitening, features = cohorts.world().adapter.whitening, cohorts.world().features[places]
    return features if whitening is None else whitening(features)


def choose(rng: Source) -> tuple[npt.NDArray[np.int64], int, bool]:
    """Return the records that become keys, a record that is one of them or not, and whether it is."""
    labels, generator = cohorts.world().labels.numpy(), rng.generator()
    drawn = [generator.choice(np.flatnonzero(labels == c), 2 * cohorts.KEYS, False) for c in range(labels.max() + 1)]
    keys = np.concatenate([own[: cohorts.KEYS] for own in drawn])
    others = np.concatenate([own[cohorts.KEYS :] for own in drawn])
    inside = bool(generator.integers(2))
    return keys, int(generator.choice(keys if inside else others)), inside


def play_once(arm: Arm, seed: int, trial: int) -> bool:
    """Return whether the guess is right; where no run takes place, it is a coin's."""
    plan, rng = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS), seeded(seed, "initial keys", trial)
    keys, target, inside = choose(rng)
    origin = "private" if arm.defences == CHECKED else "public"
    adapter = replace(cohorts.world().adapter, keys=mapped(keys), provenance=origin)
    records = cohorts.shards(cohorts.deal(rng, clients=plan.cohort, each=1))
    source = cohorts.seeded_sources(seed, arm.defences, "initial keys", trial)
    try:
        view = View(cohorts.play(plan, records, rng=source, adapter=adapter), OUTSIDER)
    except ConfigError:
        return bool(rng.generator().integers(2)) == inside
    return attack(view, target) == inside


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the guess is right."""
    right = sum(play_once(arm, seed, trial) for trial in range(trials))
    return rate(right, trials, chance=0.5, note="a run that is refused shows nothing")


ROW = Row(
    id="T23",
    title="find clients' records in the keys that a run starts with",
    adversary=OUTSIDER,
    measure="share of right guesses, among the keys or not",
    play=play,
    arms=(
        Arm(defences="noise, keys believed to be public", claim="control", limit=0.9, setting="distributed"),
        Arm(defences=CHECKED, claim="claimed", setting="distributed"),
    ),
    trials={"smoke": 40, "full": 80},
    covers=frozenset({"cachefl", "plain"}),
)
