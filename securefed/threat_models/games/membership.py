"""Tell from the sum alone, however well it was masked, whether records are in it.

The sum of cache-key gradients lies in the span of the clients' features, and an attacker who has a list of candidate
records can compute each one's clipped gradient. What is then to be guessed is which of them were added: with Gaussian
noise of known size and even odds, the posterior mean is one linear solve. It is the strongest cheap attack in both
regimes: exact without noise, and the matched filter where noise dominates.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from securefed.encoding import Vector
from securefed.plan import Plan
from securefed.rng import seeded
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import CURIOUS_SERVER
from securefed.threat_models.bounds import membership_success
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.views import View

CLIENTS, EACH = 4, 8


def attack(view: View, candidates: Vector) -> Vector:
    """Return the posterior mean of who was in, one number for each candidate gradient, shape ``(n,)``."""
    plan = view.plan
    variance = cohorts.noise_variance(plan, summands=plan.clients)
    rest = view.sums[0] - candidates.sum(0) / 2
    gram = candidates @ candidates.T
    return np.asarray(0.5 + np.linalg.solve(gram + 4 * variance * np.eye(len(gram)), candidates @ rest))


def play_once(arm: Arm, seed: int, trial: int) -> tuple[Vector, npt.NDArray[np.bool_], Plan]:
    """Throw a coin for every candidate; return the attacker's scores, the coins and the plan."""
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS * EACH)
    rng = seeded(seed, "membership", trial)
    dealt = cohorts.deal(rng, clients=plan.cohort, each=EACH, among=cohorts.exposed())
    places = np.concatenate(list(dealt.values()))
    inside = rng.uint64(len(places)) % np.uint64(2) == 1
    kept = {name: own[np.isin(own, places[inside])] for name, own in dealt.items()}
    source = cohorts.seeded_sources(seed, arm.defences, "membership", trial)
    view = View(cohorts.play(plan, cohorts.shards(kept), rng=source), CURIOUS_SERVER)
    world = cohorts.world()
    return attack(view, cohorts.gradients(world.features[places], world.labels[places])), inside, plan


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the guess about a candidate is right."""
    right, guesses = 0, 0
    for trial in range(trials // (CLIENTS * EACH)):
        scores, inside, plan = play_once(arm, seed, trial)
        right += int(((scores > 0.5) == inside).sum())
        guesses += len(scores)
    bound = membership_success(cohorts.guarantee(plan)) if arm.setting != "none" else None
    return rate(right, guesses, chance=0.5, bound=bound, note=f"{CLIENTS * EACH} candidates in each sum")


ROW = Row(
    id="T03",
    title="tell from the secure sum whether a record is in it",
    adversary=CURIOUS_SERVER,
    measure="share of right guesses, in or out",
    play=play,
    arms=(
        Arm(defences="none", claim="control", limit=0.9),
        Arm(defences="masks", claim="none", secure="mask"),
        Arm(defences="masks and shares of noise", claim="claimed", setting="distributed", secure="mask"),
        Arm(defences="CKKS and shares of noise", claim="claimed", setting="distributed", secure="ckks"),
        Arm(defences="BFV and shares of noise", claim="claimed", setting="distributed", secure="bfv"),
    ),
    trials={"smoke": 640, "full": 640},
    covers=frozenset({"cachefl", "plain", "mask", "ckks", "bfv"}),
)
