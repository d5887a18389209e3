"""Neighbour replay at noise 0: what the accountant is told is never exceeded, after quantisation."""

import numpy as np
import pytest
import torch

from securefed import rounds, training
from tests import replay

CACHE = replay.ADAPTERS["CacheFL"]
ADAPTERS = pytest.mark.parametrize("kind", replay.ADAPTERS.values(), ids=replay.ADAPTERS)


def plan_of(kind, setting):
    return kind.plan(clip_norm=0.05, rounds=1, **replay.SETTINGS[setting])


@ADAPTERS
@pytest.mark.parametrize("setting", replay.SETTINGS)
def test_neighbours_are_never_further_apart_than_declared(kind, setting):
    plan = plan_of(kind, setting)
    found = replay.worst(plan, kind)

    assert found <= plan.event.sensitivity
    # The pairs come near the bound, so that a looser clip would be seen.
    assert found > 0.7 * plan.adjacency.multiple * plan.clip_norm / plan.encoding.step


@ADAPTERS
@pytest.mark.parametrize(
    ("setting", "name"),
    [("distributed", "clipped_sum"), ("per-client", "clipped_sum"), ("client-level", "clipped_update")],
)
def test_the_replay_finds_a_clip_that_is_one_per_cent_too_loose(monkeypatch, kind, setting, name):
    true = getattr(training, name)
    loose = lambda *data, clip_norm, **rest: true(*data, clip_norm=1.01 * clip_norm, **rest)  # noqa: E731
    monkeypatch.setattr(rounds, name, loose)
    plan = plan_of(kind, setting)

    assert replay.worst(plan, kind, 21 if setting != "client-level" else 7) > plan.event.sensitivity


def test_the_replay_finds_clipping_after_the_sum(monkeypatch):
    """Clipped as a batch: one record can turn the whole sum around."""

    def whole(adapter, features, labels, *, clip_norm):
        factors = training.clip_factors
        total = (
            adapter.record_gradients(features, labels)
            .weighted_sum(torch.isfinite(features).all(1).double())
            .nan_to_num(0.0)
            .numpy()
        )
        return total * factors(np.linalg.norm(total)[None], clip_norm=clip_norm)

    monkeypatch.setattr(rounds, "clipped_sum", whole)
    plan = plan_of(CACHE, "distributed")

    assert replay.worst(plan, CACHE, 60) > plan.event.sensitivity


@pytest.mark.parametrize("setting", ["distributed, replaced", "client-level, replaced"])
def test_the_replay_finds_replaced_units_accounted_for_as_added_ones(setting):
    plan, added = plan_of(CACHE, setting), plan_of(CACHE, "distributed")
    # The clip norm is a power of two of ring units under both, so that the bounds are comparable.
    per_unit = added.event.sensitivity * added.encoding.step / plan.encoding.step

    assert replay.worst(plan, CACHE, 60) > per_unit
