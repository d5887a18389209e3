"""Gradients in factored form: norms, sums, and what making them leaves alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.adapters.base import OuterProducts, softmax_error
from securefed.training import clipped_sum
from tests import toys

LARGE = 1e200


def drawn(seed, count=6):
    random = torch.Generator().manual_seed(seed)
    left, right = (torch.randn(count, columns, generator=random, dtype=torch.float64) for columns in (3, 5))
    return OuterProducts(left, right)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10_000), st.integers(-100, 100))
def test_norms_are_those_of_the_written_out_gradients_at_any_scale(seed, power):
    found = drawn(seed)
    scaled = OuterProducts(found.left * 10.0**power, found.right)

    assert torch.allclose(scaled.norms(), scaled.dense().norm(dim=1), rtol=1e-14, atol=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, LARGE])
@pytest.mark.parametrize("factor", ["left", "right"])
def test_the_norm_shows_what_is_not_finite_without_a_warning(factor, bad):
    found = drawn(0)
    getattr(found, factor)[2, 1] = bad
    found.right[3] = 0
    norms = found.norms()

    assert not torch.isfinite(norms[2])
    assert torch.isfinite(norms[[0, 1, 3, 4, 5]]).all()


def test_a_record_of_weight_zero_contributes_nothing_even_if_it_is_not_finite():
    found = drawn(0)
    found.left[2, 1] = math.nan
    weights = torch.tensor([1.0, 0.5, 0.0, 0.25, 1.0, 1.0]).double()
    kept = weights > 0

    expected = weights[kept] @ OuterProducts(found.left[kept], found.right[kept]).dense()
    assert torch.allclose(found.weighted_sum(weights), expected, rtol=1e-14, atol=1e-14)


def test_a_weighted_sum_leaves_the_gradients_as_they_were():
    found = drawn(0)
    weights = torch.full((6,), 0.5, dtype=torch.float64)

    assert torch.equal(found.weighted_sum(weights), found.weighted_sum(weights))


@pytest.mark.parametrize("adapter", [toys.adapter(), replace(toys.adapter(), whitening=None)], ids=["mapped", "as is"])
def test_a_step_changes_neither_features_nor_labels_nor_the_adapter(adapter):
    """Gradients are made in place where they can be; what comes from outside is not a place for that."""
    features = toys.unit(8, toys.DIM, seed=0).double()
    labels = torch.arange(8) % toys.CLASSES
    before = [features.clone(), labels.clone(), adapter.vector()]
    twice = [clipped_sum(adapter, features, labels, clip_norm=0.01) for _ in range(2)]

    assert np.array_equal(*twice)
    assert all(np.array_equal(a, b) for a, b in zip(before, (features, labels, adapter.vector()), strict=True))


def test_the_error_is_the_softmax_less_one_at_the_label():
    scores = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([3, 0, 0, 2, 1])

    expected = torch.softmax(scores, dim=1) - torch.eye(4, dtype=torch.float64)[labels]
    assert torch.equal(softmax_error(scores, labels), expected)
