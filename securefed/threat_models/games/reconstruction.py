"""Rebuild a record's feature from a gradient of the cache keys, and find its picture.

One record's gradient is an outer product ``a g^T``, so its right singular vector is the whitened feature, up to a sign.
Divided by the affinities that a sign implies, ``a`` is the softmax's error, which adds up to zero over the classes: the
sign for which it does is the right one. Whitening is public and is undone. No optimisation is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch

from securefed.encoding import Vector
from securefed.rng import seeded
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import CURIOUS_SERVER
from securefed.threat_models.bounds import identification_success
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.views import View

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from securefed.adapters.cachefl import CacheFL

CLIENTS, CANDIDATES = 4, 256


class Rebuilt(NamedTuple):
    """What one play rebuilt, for pictures.

    Attributes:
        target: Place of the true record in the world.
        nearest: Place of the candidate that is nearest to the rebuilt feature.
        likeliest: Place of the candidate whose gradient explains best what was seen.
        cosine: Of the rebuilt feature to the true one, less what all images have in common.
    """

    target: int
    nearest: int
    likeliest: int
    cosine: float


def name(view: View, client: str, candidates: npt.NDArray[np.int64]) -> int:
    """Return the candidate whose gradient is likeliest, given Gaussian noise: the strongest attack under noise."""
    world = cohorts.world()
    rows = cohorts.gradients(world.features[candidates], world.labels[candidates])
    return int(candidates[likeliest(rows, cohorts.what_is_known(view, client))])


def likeliest(rows: Vector, seen: Vector) -> int:
    """Return which of some vectors, shape ``(n, dim)``, is likeliest to be what was seen, but for Gaussian noise."""
    return int((rows @ seen - (rows**2).sum(1) / 2).argmax())


def rebuild(view: View, client: str) -> Tensor:
    """Return a guess at the feature of a client's only record, made without candidates, shape ``(dim,)``."""
    start = cast("CacheFL", view.start)
    matrix = cohorts.what_is_known(view, client).reshape(len(start.keys), -1)
    rows, _, columns = np.linalg.svd(matrix, full_matrices=False)

    def imbalance(sign: int) -> float:
        affinity = np.exp(-start.beta * (1 - start.keys.numpy() @ (sign * columns[0])))
        error = start.values.numpy().T @ (rows[:, 0] / affinity)
        return float(abs(error.sum()) / np.abs(error).sum())

    return unwhiten(start, min((1, -1), key=imbalance) * columns[0])


def unwhiten(adapter: CacheFL, direction: Vector) -> Tensor:
    """Return the unit feature whose whitened direction this is.

    The direction is that of ``(f - mean) M``; ``f`` lies where the line from the mean leaves the unit ball.
    """
    whitening = adapter.whitening
    if whitening is None:
        return torch.from_numpy(direction.copy())
    step = torch.linalg.solve(whitening.matrix.T, torch.from_numpy(direction.copy()))
    step, mean = step / step.norm(), whitening.mean
    along = mean @ step
    return mean + step * (torch.sqrt(along**2 + 1 - mean @ mean) - along)


def play_once(arm: Arm, seed: int, trial: int) -> list[Rebuilt]:
    """Let every client hold one record, and rebuild each of them."""
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS)
    rng = seeded(seed, "reconstruction", trial)
    places = cohorts.deal(rng, clients=plan.cohort, each=1, among=cohorts.exposed())
    recording = cohorts.play(
        plan, cohorts.shards(places), rng=cohorts.seeded_sources(seed, arm.defences, "reconstruction", trial)
    )
    view = View(recording, CURIOUS_SERVER)
    return [_judged(view, client, int(places[client][0]), rng.generator()) for client in plan.cohort]


def _judged(view: View, client: str, target: int, generator: np.random.Generator) -> Rebuilt:
    """Attack, and compare with the truth; candidates are records like the target, in an order that tells nothing."""
    features, guess = cohorts.world().features, rebuild(view, client)
    others = generator.permutation(cohorts.exposed())
    candidates = generator.permutation(np.concatenate([[target], others[others != target][: CANDIDATES - 1]]))
    nearest = int(candidates[int((features[candidates] @ guess).argmax())])
    mean = features.mean(0)
    cosine = torch.nn.functional.cosine_similarity(guess - mean, features[target] - mean, dim=0)
    return Rebuilt(target, nearest, name(view, client, candidates), float(cosine))


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the likeliest of all candidates is the true record."""
    found = [each for trial in range(trials // CLIENTS) for each in play_once(arm, seed, trial)]
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS)
    return rate(
        sum(each.target == each.likeliest for each in found),
        len(found),
        chance=1 / CANDIDATES,
        bound=identification_success(cohorts.guarantee(plan), CANDIDATES) if arm.claim == "claimed" else None,
        note=f"rebuilt without candidates: mean cosine {np.mean([each.cosine for each in found]):.3f}",
    )


def some(arm: Arm, seed: int, count: int) -> list[Rebuilt]:
    """Return what the first plays of an arm rebuilt."""
    found: list[Rebuilt] = []
    while len(found) < count:
        found += play_once(arm, seed, len(found) // CLIENTS)
    return found[:count]


ROW = Row(
    id="T01",
    title="rebuild a record's feature from a gradient of cache keys, and find its picture",
    adversary=CURIOUS_SERVER,
    measure=f"share of records found among {CANDIDATES} candidates",
    play=play,
    arms=(
        Arm(defences="none", claim="control", limit=0.9),
        Arm(defences="masks", claim="none", secure="mask"),
        Arm(defences="shares of noise", claim="none", setting="distributed"),
        Arm(defences="own noise", claim="claimed", setting="per-client"),
        Arm(defences="masks and shares of noise", claim="claimed", setting="distributed", secure="mask"),
    ),
    trials={"smoke": 40, "full": 100},
    covers=frozenset({"cachefl", "plain", "mask"}),
)
