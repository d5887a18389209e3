"""One private CacheFL step against the same step without privacy, and against Opacus.

Work: 256 records of 512 features, a cache of 160 keys (10 classes x 16), cross-entropy; the gradient with respect to
the keys. Private: clip each record's gradient, add the clipped ones, quantise, add integer noise. Without privacy: the
plain sum of gradients, by the same formulas. Peers do the private sum of the same model through Opacus' hooks and ghost
clipping, and through torch's ``vmap`` of a record's gradient. All in float64 on one thread. ``ratio_to_non_private``
compares the clipped sums, as peers are compared: noise is drawn once a round, however many batches it has, and
``ratio_with_integer_noise`` shows a round of one batch with exact noise and quantisation. Hooks and ``vmap`` write out
every record's gradient, 168 MB that leave nobody's data in the cache, so they take turns with the plain sum alone.

The step is the shortest that this adapter has: on features as they are. The recipes whiten them by a public map first,
which both sums do; with it the same clipping is a smaller part (``whitened``).
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable

import numpy as np
import torch
from opacus import GradSampleModule
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping
from torch import Tensor

from benchmarks.timing import interleaved, ratio
from securefed import rng
from securefed.adapters.cachefl import CacheFL
from securefed.encoding import FixedPoint
from securefed.privacy.discrete import discrete_gaussian
from securefed.training import clipped_sum

CLASSES, KEYS_PER_CLASS, DIM, RECORDS, CLIP = 10, 16, 512, 256, 1.0


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    torch.set_num_threads(1)
    cache, features, labels = _case(shrinkage=None)
    mapped, *records = _case(shrinkage=0.03)
    plain = {"non_private": lambda: _plain_sum(cache, features, labels)}
    factored: dict[str, Callable[[], object]] = {
        "clipped": lambda: clipped_sum(cache, features, labels, clip_norm=CLIP),
        "private": lambda: _private_sum(cache, features, labels),
        "autograd": lambda: _autograd(cache, features, labels),
        "opacus_ghost": lambda: _opacus_ghost(cache, features, labels),
    }
    written_out: dict[str, Callable[[], object]] = {
        "opacus_hooks": lambda: _opacus_hooks(cache, features, labels),
        "vmap": lambda: _vmap(cache, features, labels),
    }
    repetitions = (4, 4) if quick else (300, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = interleaved(plain | factored, repetitions=repetitions[0])
        beside = interleaved(plain | written_out, repetitions=repetitions[1])
    whitened = interleaved(
        {
            "non_private": lambda: _plain_sum(mapped, *records),
            "clipped": lambda: clipped_sum(mapped, *records, clip_norm=CLIP),
        },
        repetitions=repetitions[0],
    )
    return {
        "records": RECORDS,
        "dim": CLASSES * KEYS_PER_CLASS * DIM,
        "milliseconds": {name: 1000 * statistics.median(times) for name, times in (beside | seconds).items()},
        "ratio_to_non_private": ratio(seconds["clipped"], seconds["non_private"])["ratio"],
        "ratio_with_integer_noise": ratio(seconds["private"], seconds["non_private"])["ratio"],
        "whitened_milliseconds": {name: 1000 * statistics.median(times) for name, times in whitened.items()},
        "whitened_ratio_to_non_private": ratio(whitened["clipped"], whitened["non_private"]),
        "ratios": {
            name: ratio(times, found["non_private"]) for found in (beside, seconds) for name, times in found.items()
        },
    }


def _case(*, shrinkage: float | None) -> tuple[CacheFL, Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)

    def unit(*shape: int) -> Tensor:
        drawn = torch.randn(*shape, generator=random, dtype=torch.float64)
        return torch.nn.functional.normalize(drawn, dim=1)

    cache = CacheFL.from_generated(
        unit(CLASSES * KEYS_PER_CLASS, DIM),
        torch.arange(CLASSES).repeat_interleave(KEYS_PER_CLASS),
        text=unit(CLASSES, DIM),
        scale=100.0,
        alpha=3.0,
        beta=3.0,
        keys_per_class=KEYS_PER_CLASS,
        shrinkage=shrinkage,
    )
    return cache, unit(RECORDS, DIM), torch.randint(CLASSES, (RECORDS,), generator=random)


def _plain_sum(cache: CacheFL, features: Tensor, labels: Tensor) -> Tensor:
    gradients = cache.record_gradients(features, labels)
    return (gradients.left.T @ gradients.right).reshape(-1)


def _private_sum(cache: CacheFL, features: Tensor, labels: Tensor) -> np.ndarray:
    encoding = FixedPoint(bits=48, step=CLIP / 2**16, bound=CLIP * RECORDS, summands=8, noise_stddev=3e5)
    integers = encoding.to_integers(clipped_sum(cache, features, labels, clip_norm=CLIP))
    return encoding.to_ring(integers + discrete_gaussian(1e5, len(integers), rng=rng.secure()))


class _Module(torch.nn.Module):
    """The same model for autograd: the keys are the weight of a linear layer."""

    def __init__(self, cache: CacheFL) -> None:
        super().__init__()
        self.public, self.values = cache, cache.values
        self.cache = torch.nn.Linear(DIM, len(cache.keys), bias=False, dtype=torch.float64)
        self.cache.weight = torch.nn.Parameter(cache.keys.clone())

    def forward(self, features: Tensor) -> Tensor:
        affinity = torch.exp(-(self.public.beta - self.public.beta * self.cache(features)))
        return self.public.zero_shot(features) + self.public.alpha * affinity @ self.values


def _autograd(cache: CacheFL, features: Tensor, labels: Tensor) -> None:
    torch.nn.functional.cross_entropy(_Module(cache)(features), labels, reduction="sum").backward()


def _opacus_hooks(cache: CacheFL, features: Tensor, labels: Tensor) -> Tensor:
    module = GradSampleModule(_Module(cache), loss_reduction="sum")
    torch.nn.functional.cross_entropy(module(features), labels, reduction="sum").backward()
    return _clipped(module._module.cache.weight.grad_sample)


def _opacus_ghost(cache: CacheFL, features: Tensor, labels: Tensor) -> Tensor:
    module = GradSampleModuleFastGradientClipping(_Module(cache), max_grad_norm=CLIP, loss_reduction="sum")
    losses = torch.nn.functional.cross_entropy(module(features), labels, reduction="none")
    losses.sum().backward(retain_graph=True)
    factors = module.get_clipping_coef()
    module.disable_hooks()
    module.zero_grad()
    (factors * losses).sum().backward()
    return module._module.cache.weight.grad


def _vmap(cache: CacheFL, features: Tensor, labels: Tensor) -> Tensor:
    module = _Module(cache)

    def loss(weights: dict[str, Tensor], feature: Tensor, label: Tensor) -> Tensor:
        scores = torch.func.functional_call(module, weights, feature[None])
        return torch.nn.functional.cross_entropy(scores, label[None])

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    return _clipped(gradients({"cache.weight": cache.keys}, features, labels)["cache.weight"])


def _clipped(samples: Tensor) -> Tensor:
    factors = (CLIP / samples.flatten(1).norm(dim=1)).clamp(max=1)
    return torch.einsum("n,n...->...", factors, samples)
