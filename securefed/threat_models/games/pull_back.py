"""Rebuild a record's feature from FLoRA's gradient, and find its picture.

One record's gradient with respect to the class texts is an outer product ``e f^T`` of softmax error and feature, and
its right singular vector is the feature. A gradient with respect to the factors is ``J^T vec(e f^T)``; the public text
tower gives ``J``, and as there are more equations than unknowns, least squares find ``e`` and ``f``.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from securefed.adapters.through_text import ThroughText
from securefed.encoding import Vector
from securefed.rng import seeded
from securefed.threat_models import cohorts, towers
from securefed.threat_models.adversaries import CURIOUS_SERVER
from securefed.threat_models.bounds import identification_success
from securefed.threat_models.game import Arm, Measured, Row, rate
from securefed.threat_models.games.reconstruction import likeliest
from securefed.threat_models.towers import Sent
from securefed.threat_models.views import View

CLIENTS, CANDIDATES = 4, 256
TURNS = 14
"""Steps that rebuild a feature from a gradient of the factors."""

REBUILT = 3
"""Features that are rebuilt, one in each of the first trials."""


def of_texts(seen: Vector) -> Tensor:
    """Return the feature in a gradient of class texts, up to its length, shape ``(dim,)``."""
    classes = len(cohorts.world().classes)
    return _upright(np.linalg.svd(seen.reshape(classes, -1), full_matrices=False)[2][0])


def of_factors(seen: Vector) -> Tensor:
    """Return the feature in a gradient of the factors, up to its length, shape ``(dim,)``.

    Least squares in ``e`` and ``f`` together, by damped Gauss-Newton steps (Levenberg and Marquardt) from the mean of
    public features.
    """
    derivative, used = _derivative()
    wanted = torch.from_numpy(seen)[used]
    feature = cohorts.world().public[0].mean(0)
    error = torch.linalg.lstsq(derivative @ feature, wanted).solution
    rest, damping = (derivative @ feature) @ error - wanted, 1e-2
    for _ in range(TURNS):
        slopes = torch.cat([derivative @ feature, torch.einsum("pcd,c->pd", derivative, error)], dim=1)
        gram = slopes.T @ slopes
        step = torch.linalg.solve(gram + damping * torch.diag(gram.diag() + 1e-9), -slopes.T @ rest)
        moved = error + step[: len(error)], feature + step[len(error) :]
        left = (derivative @ moved[1]) @ moved[0] - wanted
        if left.norm() < rest.norm():
            (error, feature), rest, damping = moved, left, damping / 5
        else:
            damping *= 4
    return _upright(feature.numpy())


def _upright(feature: Vector) -> Tensor:
    """Return a feature with the sign that puts it into the cone of all images."""
    found = torch.from_numpy(feature.copy())
    return found * torch.sign(found @ cohorts.world().public[0].mean(0))


@lru_cache(maxsize=1)
def _derivative() -> tuple[Tensor, Tensor]:
    """Return the derivative of the class texts, shape ``(used, classes, dim)``, and the factors that it is by.

    Factors whose partners are still zero change nothing yet, and are left out.
    """
    world, adapter = cohorts.world(), cast("ThroughText", towers.adapter("factors"))
    derivative = adapter.record_gradients(world.features[:1], world.labels[:1]).derivative
    used = derivative.abs().sum(0) > 0
    return derivative[:, used].T.reshape(-1, *adapter.text.shape).contiguous(), used


def play_once(sent: Sent, arm: Arm, seed: int, trial: int) -> tuple[int, float]:
    """Let every client hold one record; return how many are found, and how close one rebuilt feature is to the true."""
    plan, rng = towers.plan_of(arm, sent, clients=CLIENTS), seeded(seed, "pull-back", trial)
    places = cohorts.deal(rng, clients=plan.cohort, each=1, among=towers.exposed(sent))
    source = cohorts.seeded_sources(seed, arm.defences, "pull-back", trial)
    recording = cohorts.play(plan, cohorts.shards(places), rng=source, adapter=towers.adapter(sent))
    view, generator = View(recording, CURIOUS_SERVER), rng.generator()
    targets = {name: int(own[0]) for name, own in places.items()}
    found = [named(sent, cohorts.what_is_known(view, name), target, generator) for name, target in targets.items()]
    name = plan.cohort[0]
    cosine = closeness(sent, cohorts.what_is_known(view, name), targets[name]) if trial < REBUILT else np.nan
    return sum(found), cosine


def named(sent: Sent, seen: Vector, target: int, generator: np.random.Generator) -> bool:
    """Tell whether the likeliest candidate is the target; the others are records like it, in an order of no meaning."""
    others = generator.permutation(towers.exposed(sent))
    candidates = generator.permutation(np.concatenate([[target], others[others != target][: CANDIDATES - 1]]))
    return bool(candidates[likeliest(towers.gradients(sent)[candidates], seen)] == target)


def closeness(sent: Sent, seen: Vector, target: int) -> float:
    """Return the cosine of the rebuilt feature to the true one, less what all images have in common."""
    features = cohorts.world().features
    guess, mean = (of_texts if sent == "texts" else of_factors)(seen), features.mean(0)
    return float(torch.nn.functional.cosine_similarity(guess / guess.norm() - mean, features[target] - mean, dim=0))


def play(sent: Sent, arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the likeliest of all candidates is the true record."""
    found, cosines = zip(*(play_once(sent, arm, seed, trial) for trial in range(trials // CLIENTS)), strict=True)
    profile = cohorts.guarantee(towers.plan_of(arm, sent, clients=CLIENTS)) if arm.claim == "claimed" else None
    return rate(
        sum(found),
        trials // CLIENTS * CLIENTS,
        chance=1 / CANDIDATES,
        bound=None if profile is None else identification_success(profile, CANDIDATES),
        note=f"rebuilt without candidates: median cosine {np.nanmedian(cosines):.3f}",
    )


def row(name: str, sent: Sent, what: str) -> Row:
    """Return the row of one way to train."""
    return Row(
        id=name,
        title=f"rebuild a record's feature from a gradient of {what}, and find its picture",
        adversary=CURIOUS_SERVER,
        measure=f"share of records found among {CANDIDATES} candidates",
        play=partial(play, sent),
        arms=(
            Arm(defences="none", claim="control", limit=0.8),
            Arm(defences="masks", claim="none", secure="mask"),
            Arm(defences="own noise", claim="claimed", setting="per-client"),
            Arm(defences="masks and shares of noise", claim="claimed", setting="distributed", secure="mask"),
        ),
        trials={"smoke": 24, "full": 60},
        covers=frozenset({"flora", "plain", "mask"}),
    )


FACTORS = row("T02", "factors", "low-rank factors")
TEXTS = row("T02t", "texts", "class texts")
