"""Tell from the released adapter alone whether records were trained on: a likelihood-ratio attack (LiRA).

The attacker trains adapters of its own on the same candidates with coins of its own, and learns how two statistics of
a candidate are spread when it is in and when it is out (Carlini et al. 2022, arXiv:2112.03570): how sure the adapter is
of its class, and how much of its gradient is in the way that the parameters went. The second is white-box,
and does most of the work. Masks change nothing: what is released is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, final

import numpy as np
import numpy.typing as npt
import torch

from securefed.encoding import Vector
from securefed.privacy.accounting import Profile
from securefed.privacy.membership import tpr_at_fpr
from securefed.rng import Source, seeded
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import OUTSIDER
from securefed.threat_models.bounds import membership_success
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.views import View

if TYPE_CHECKING:
    from torch import Tensor

CLIENTS, EACH, ROUNDS, SHADOWS = 4, 8, 3, 24
FALSE_ALARMS = 0.01


@final
@dataclass(frozen=True, slots=True)
class Pool:
    """Candidates, and who would have which of them.

    Attributes:
        dealt: Places of the candidates by client.
    """

    dealt: Mapping[str, npt.NDArray[np.int64]] = field(repr=False)

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """Places of all candidates, shape ``(n,)``."""
        return np.concatenate(list(self.dealt.values()))

    def some(self, inside: npt.NDArray[np.bool_]) -> dict[str, tuple[Tensor, Tensor]]:
        """Return each client's records if only some candidates are in."""
        chosen = self.places[inside]
        return cohorts.shards({name: own[np.isin(own, chosen)] for name, own in self.dealt.items()})


def coins(rng: Source) -> npt.NDArray[np.bool_]:
    """Return who is in, shape ``(n,)``."""
    return np.asarray(rng.uint64(CLIENTS * EACH) % np.uint64(2) == 1)


def statistics(view: View, places: npt.NDArray[np.int64]) -> Vector:
    """Return what a released adapter says about candidates, shape ``(n, 2)``: confidence, and share of the way."""
    world, plan = cohorts.world(), view.plan
    features, labels = world.features[places], world.labels[places]
    likely = torch.log_softmax(view.released.logits(features), dim=1)[torch.arange(len(labels)), labels]
    confidence = likely - torch.log(-torch.expm1(likely.clamp(max=-1e-12)))
    way = (view.start.vector() - view.released.vector()) * plan.normaliser / plan.learning_rate
    rows = cohorts.gradients(features, labels)
    ridge = 4 * plan.rounds * cohorts.noise_variance(plan, summands=plan.clients) + 1e-6
    shares = np.linalg.solve(rows @ rows.T + ridge * np.eye(len(rows)), rows @ way)
    return np.stack([confidence.numpy(), shares], axis=1)


def released(arm: Arm, pool: Pool, inside: npt.NDArray[np.bool_], seed: int, *labels: str | int) -> View:
    """Train on the production path; return what an outsider sees."""
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS * EACH, rounds=ROUNDS)
    source = cohorts.seeded_sources(seed, arm.defences, *labels)
    return View(cohorts.play(plan, pool.some(inside), rng=source), OUTSIDER)


@lru_cache(maxsize=4)
def pool_of(seed: int) -> Pool:
    """Return the candidates of a game."""
    names = cohorts.plan_of(CONTROL, clients=CLIENTS, records=CLIENTS * EACH, rounds=ROUNDS).cohort
    return Pool(cohorts.deal(seeded(seed, "shadows"), clients=names, each=EACH, among=cohorts.exposed()))


@final
@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How statistics of candidates are spread, as Gaussians of one covariance and one distance between in and out.

    Two dozen shadows say where each candidate's statistics lie, but too little of each one's own distance.

    Attributes:
        middle: Half-way between in and out, shape ``(n, 2)``.
        distance: From out to in, shape ``(2,)``.
        precision: Inverse of the covariance, shape ``(2, 2)``.
    """

    middle: Vector
    distance: Vector
    precision: Vector

    @classmethod
    def of(cls, found: Vector, inside: npt.NDArray[np.bool_]) -> Spread:
        """Estimate it from shadows: statistics of shape ``(shadows, n, 2)``, who was in of shape ``(shadows, n)``."""
        weights = [side[..., np.newaxis] / np.maximum(side.sum(0), 1)[:, np.newaxis] for side in (~inside, inside)]
        out, within = ((found * weight).sum(0) for weight in weights)
        rest = found - np.where(inside[..., np.newaxis], within, out)
        covariance = np.einsum("snx,sny->xy", rest, rest) / rest[..., 0].size
        return cls((out + within) / 2, (within - out).mean(0), np.linalg.inv(covariance + 1e-12 * np.eye(2)))

    def ratio(self, found: Vector) -> Vector:
        """Return the log of the likelihood ratio of in and out, shape ``(n,)``."""
        return np.asarray((found - self.middle) @ self.precision @ self.distance)


@lru_cache(maxsize=4)
def spread(arm: Arm, seed: int) -> Spread:
    """Train shadows under the setting of an arm. Sums travel in plain: they are the same."""
    pool, thrown = pool_of(seed), [coins(seeded(seed, "shadow coins", number)) for number in range(SHADOWS)]
    views = [released(arm, pool, inside, seed, "shadow", number) for number, inside in enumerate(thrown)]
    return Spread.of(np.stack([statistics(view, pool.places) for view in views]), np.stack(thrown))


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the guess about a candidate is right."""
    pool, scores, inside = pool_of(seed), [], []
    known = spread(Arm(defences="attacker's own", claim="none", setting=arm.setting), seed)
    for trial in range(trials // (CLIENTS * EACH)):
        inside.append(coins(seeded(seed, "coins", trial)))
        view = released(arm, pool, inside[-1], seed, "target", trial)
        scores.append(known.ratio(statistics(view, pool.places)))
    every, truth = np.concatenate(scores), np.concatenate(inside)
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS * EACH, rounds=ROUNDS)
    profile = cohorts.guarantee(plan) if arm.setting != "none" else None
    return rate(
        int(((every > 0) == truth).sum()),
        len(every),
        chance=0.5,
        bound=None if profile is None else membership_success(profile),
        note=f"{SHADOWS} shadows{found_at_few_alarms(every[~truth], every[truth], profile)}",
    )


def found_at_few_alarms(out: Vector, inside: Vector, profile: Profile | None) -> str:
    """Return in words how many are found at few false alarms, if there are enough cases to say."""
    if len(out) * FALSE_ALARMS < 10:
        return ""
    hits = (inside > np.quantile(out, 1 - FALSE_ALARMS)).mean()
    allowed = "" if profile is None else f", theory allows {tpr_at_fpr(profile, FALSE_ALARMS):.3f}"
    return f"; at {FALSE_ALARMS:.0%} false alarms {hits:.3f} are found{allowed}"


CONTROL = Arm(defences="none", claim="control", limit=0.8)

ROW = Row(
    id="T07",
    title="tell from the released adapter whether a record was trained on",
    adversary=OUTSIDER,
    measure="share of right guesses, in or out",
    play=play,
    arms=(
        CONTROL,
        Arm(defences="masks", claim="none", secure="mask"),
        Arm(defences="masks and shares of noise", claim="claimed", setting="distributed", secure="mask"),
    ),
    trials={"smoke": 640, "full": 640},
    covers=frozenset({"cachefl", "plain", "mask"}),
)
