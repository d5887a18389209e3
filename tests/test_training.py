"""One client's contribution: bounded per record, whatever the records are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.errors import ConfigError
from securefed.training import clipped_sum
from tests import toys

CACHE = toys.adapter()


def records(seed, count=8):
    labels = torch.randint(toys.CLASSES, (count,), generator=torch.Generator().manual_seed(seed))
    return toys.unit(count, toys.DIM, seed=seed), labels


def test_the_sum_is_that_of_the_clipped_gradients_one_by_one():
    features, labels = records(0)
    dense = CACHE.record_gradients(features, labels).dense()
    clip_norm = float(dense.norm(dim=1).median())
    factors = (clip_norm / dense.norm(dim=1)).clamp(max=1)

    expected = (factors[:, None] * dense).sum(0).numpy()
    assert np.allclose(clipped_sum(CACHE, features, labels, clip_norm=clip_norm), expected, rtol=1e-10)


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 10_000), st.floats(1e-3, 3.0), st.integers(1, 20))
def test_adding_a_record_moves_the_quantised_sum_by_at_most_the_declared_sensitivity(seed, clip_norm, count):
    """Neighbour replay without noise, after quantisation: what the accountant is told is never exceeded."""
    plan = toys.plan(clip_norm=clip_norm)
    features, labels = records(seed, count)
    with_it, without = (
        plan.encoding.to_integers(clipped_sum(CACHE, features[:n], labels[:n], clip_norm=clip_norm))
        for n in (count, count - 1)
    )

    assert np.linalg.norm(with_it - without) <= plan.event.sensitivity


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10_000))
def test_replacing_a_record_moves_the_quantised_sum_by_at_most_twice_as_much(seed):
    plan = toys.plan(clip_norm=0.01, adjacency="replace-one")
    features, labels = records(seed)
    changed, others = features.clone(), labels.clone()
    changed[0], others[0] = -features[0], (labels[0] + 1) % toys.CLASSES
    before, after = (
        plan.encoding.to_integers(clipped_sum(CACHE, f, y, clip_norm=0.01))
        for f, y in ((features, labels), (changed, others))
    )

    assert np.linalg.norm(before - after) <= plan.event.sensitivity
    assert plan.event.sensitivity > 1.9 * 0.01 / plan.encoding.step


def test_without_the_clip_the_replay_would_fail():
    """The replay above can fail: most gradients are longer than this bound."""
    plan = toys.plan(clip_norm=0.01)
    features, labels = records(0)
    moved = CACHE.record_gradients(features[:1], labels[:1]).dense()[0].numpy() / plan.encoding.step

    assert np.linalg.norm(moved) > plan.event.sensitivity


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_record_that_is_not_finite_contributes_nothing(bad):
    features, labels = records(0)
    spoilt = features.clone()
    spoilt[3, 0] = bad
    kept = torch.arange(8) != 3

    expected = clipped_sum(CACHE, features[kept], labels[kept], clip_norm=0.1)
    assert np.allclose(clipped_sum(CACHE, spoilt, labels, clip_norm=0.1), expected, rtol=1e-12)


def test_no_records_give_a_zero_sum():
    features, labels = records(0)

    assert not clipped_sum(CACHE, features[:0], labels[:0], clip_norm=1.0).any()


def test_chunks_change_nothing(monkeypatch):
    features, labels = records(0, 50)
    whole = clipped_sum(CACHE, features, labels, clip_norm=0.1)
    monkeypatch.setattr("securefed.adapters.base.CHUNK", 7)

    assert np.allclose(clipped_sum(CACHE, features, labels, clip_norm=0.1), whole, rtol=1e-10)


def test_keys_made_from_data_cannot_be_trained():
    """Keys made from records are those records, whatever noise is added afterwards."""
    features, labels = records(0)
    with pytest.raises(ConfigError, match="private"):
        clipped_sum(replace(CACHE, provenance="private"), features, labels, clip_norm=1.0)


def test_a_record_without_a_label_is_refused():
    features, labels = records(0)
    with pytest.raises(ConfigError, match="8 features and 7 labels"):
        clipped_sum(CACHE, features, labels[1:], clip_norm=1.0)
