"""CacheFL: its equations, restated, and its closed-form gradients against vmap and Opacus."""

import math

import numpy as np
import pytest
import torch
from opacus import GradSampleModule
from torch.func import functional_call, grad, vmap

from securefed.adapters.cachefl import CacheFL, Whitening
from securefed.errors import ConfigError

CLASSES, DIM, KEYS = 5, 12, 3


def unit(*shape, seed):
    return torch.nn.functional.normalize(
        torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1
    )


def adapter(*, shrinkage=0.1, alpha=3.0, beta=1.5):
    return CacheFL.from_generated(
        unit(CLASSES * 8, DIM, seed=1),
        torch.arange(CLASSES).repeat_interleave(8),
        text=unit(CLASSES, DIM, seed=2),
        scale=20.0,
        alpha=alpha,
        beta=beta,
        keys_per_class=KEYS,
        shrinkage=shrinkage,
    )


def records(count=11):
    labels = torch.randint(CLASSES, (count,), generator=torch.Generator().manual_seed(4))
    return unit(count, DIM, seed=3), labels


class Restated(torch.nn.Module):
    """The equations of the module's text, as anybody would write them with autograd."""

    def __init__(self, cache):
        super().__init__()
        self.cache = torch.nn.Linear(cache.keys.shape[1], len(cache.keys), bias=False).double()
        self.cache.weight = torch.nn.Parameter(cache.keys.clone())
        self.public = cache

    def forward(self, features):
        mapped = features
        if self.public.whitening is not None:
            mapped = (features - self.public.whitening.mean) @ self.public.whitening.matrix
            mapped = mapped / mapped.norm(dim=-1, keepdim=True)
        affinity = torch.exp(-(self.public.beta - self.public.beta * self.cache(mapped)))
        clip = self.public.scale * features @ self.public.text.T
        return clip + self.public.alpha * affinity @ self.public.values


def vmap_gradients(cache, features, labels):
    module = Restated(cache)

    def loss(parameters, feature, label):
        scores = functional_call(module, parameters, (feature[None],))
        return torch.nn.functional.cross_entropy(scores, label[None])

    parameters = {name: value.detach() for name, value in module.named_parameters()}
    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, features, labels)
    return gradients["cache.weight"].reshape(len(features), -1)


@pytest.mark.parametrize("shrinkage", [None, 0.1])
def test_logits_are_those_of_the_restated_equations(shrinkage):
    cache, (features, _) = adapter(shrinkage=shrinkage), records()

    assert torch.allclose(cache.logits(features), Restated(cache)(features), rtol=1e-12, atol=0)


@pytest.mark.parametrize("shrinkage", [None, 0.1])
def test_closed_form_gradients_equal_vmap(shrinkage):
    cache, (features, labels) = adapter(shrinkage=shrinkage), records()
    expected = vmap_gradients(cache, features, labels)
    gradients = cache.record_gradients(features, labels)

    assert torch.allclose(gradients.dense(), expected, rtol=1e-9, atol=1e-12)
    assert torch.allclose(gradients.norms(), expected.norm(dim=1), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
def test_closed_form_gradients_equal_opacus():
    cache, (features, labels) = adapter(), records()
    module = GradSampleModule(Restated(cache), loss_reduction="sum")
    torch.nn.functional.cross_entropy(module(features), labels, reduction="sum").backward()
    expected = module._module.cache.weight.grad_sample.reshape(len(features), -1)

    assert torch.allclose(cache.record_gradients(features, labels).dense(), expected, rtol=1e-9, atol=1e-12)


def test_weighted_sums_equal_those_of_the_written_out_gradients():
    gradients = adapter().record_gradients(*records())
    weights = torch.linspace(0, 1, 11, dtype=torch.float64)

    assert torch.allclose(gradients.weighted_sum(weights), weights @ gradients.dense(), rtol=1e-10, atol=1e-14)


def test_no_record_changes_the_gradient_of_another():
    cache, (features, labels) = adapter(), records()
    changed = features.clone()
    changed[4] = -changed[4]
    before, after = (cache.record_gradients(f, labels).dense() for f in (features, changed))

    others = torch.arange(11) != 4
    assert torch.equal(before[others], after[others])
    assert not torch.equal(before[4], after[4])


def test_gradient_norms_never_exceed_the_analytic_bound():
    cache = adapter(alpha=3.0, beta=1.5)
    norms = cache.record_gradients(*records(200)).norms()

    # exp(-beta (1 - cos)) is at most 1 for unit vectors, and |p - y| at most sqrt(2).
    assert norms.max() <= 3.0 * 1.5 * math.sqrt(2 * KEYS)


def test_keys_are_balanced_unit_vectors_of_their_classes():
    cache = adapter()

    assert cache.keys.shape == (CLASSES * KEYS, DIM)
    assert torch.allclose(cache.keys.norm(dim=1), torch.ones(CLASSES * KEYS, dtype=torch.float64))
    assert (cache.values.sum(0) == KEYS).all()
    assert cache.provenance == "public"


def test_the_vector_is_the_keys_and_moving_it_leaves_the_original_alone():
    cache = adapter()
    before = cache.vector()
    moved = cache.moved_to(before + 1)

    assert np.array_equal(cache.vector(), before)
    assert np.array_equal(moved.vector(), before + 1)


def test_whitening_makes_the_spread_inside_classes_round():
    spread = torch.diag(torch.tensor([9.0, 1.0, 0.1], dtype=torch.float64))
    features = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) @ spread
    whitening = Whitening.fit(features, torch.zeros(4000, dtype=torch.int64), shrinkage=1e-9)
    mapped = (features - whitening.mean) @ whitening.matrix

    assert torch.allclose(mapped.T @ mapped / 4000, torch.eye(3, dtype=torch.float64), atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [{"alpha": 0.0}, {"beta": -1.0}, {"keys_per_class": 0}, {"keys_per_class": 9}, {"shrinkage": 0.0}],
    ids=str,
)
def test_choices_that_make_no_cache_are_refused(changes):
    choices = {"alpha": 1.0, "beta": 1.0, "keys_per_class": 2, "shrinkage": 0.1} | changes
    with pytest.raises(ConfigError):
        CacheFL.from_generated(
            unit(CLASSES * 8, DIM, seed=1),
            torch.arange(CLASSES).repeat_interleave(8),
            text=unit(CLASSES, DIM, seed=2),
            scale=20.0,
            **choices,
        )


def test_keys_that_cannot_be_told_apart_by_classes_are_refused():
    with pytest.raises(ConfigError, match="7 keys for 2 classes"):
        CacheFL(torch.eye(7), torch.eye(7)[:2], 1.0, 1.0, 1.0, None, "public")


@pytest.mark.parametrize("classes", [10, 1000])
def test_as_many_records_at_a_time_as_their_affinities_leave_room_for(classes):
    """And not as few as their gradients would, which are never written out: that made a step grow with the square."""
    cache = CacheFL(torch.zeros(16 * classes, 8), torch.zeros(classes, 8), 1.0, 1.0, 1.0, None, "public")
    numbers = 4 * len(cache.keys) * cache.chunk

    assert numbers <= 2**25
    assert cache.chunk == 4096 or numbers > 2**24
