"""Modules for the generic path: some that keep records apart, and one for each way of coupling them."""

import torch
from torch import nn

from securefed.generic.module import ModuleAdapter
from tests import toys

TEXT = toys.unit(toys.CLASSES, toys.DIM, seed=2)


def adapter(module, provenance="public"):
    return ModuleAdapter(module, text=TEXT, scale=10.0, provenance=provenance)


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(toys.DIM, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, toys.CLASSES))


def records(count=9, seed=3):
    labels = torch.randint(toys.CLASSES, (count,), generator=torch.Generator().manual_seed(seed))
    return toys.unit(count, toys.DIM, seed=seed), labels


class Cache(nn.Module):
    """CacheFL's equations for autograd: its keys are the weight of a linear layer."""

    def __init__(self, cache):
        super().__init__()
        self.public = cache
        self.keys = nn.Linear(cache.keys.shape[1], len(cache.keys), bias=False)
        self.keys.weight = nn.Parameter(cache.keys.clone())

    def forward(self, features):
        affinity = torch.exp(-(self.public.beta - self.public.beta * self.keys(self.public.whitening(features))))
        return self.public.zero_shot(features) + self.public.alpha * affinity @ self.public.values


class Scaled(nn.Module):
    """A layer that Opacus has no formula for: it falls back on functorch."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, toys.DIM))

    def forward(self, features):
        return torch.sin(self.weight * features)


class Around(nn.Module):
    """A layer, and room for mischief around it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(toys.DIM, toys.CLASSES)

    def forward(self, features):
        return self.layer(features)


class Proud(Around):
    """Stops on what is not finite, which everybody would see."""

    def forward(self, features):
        if not torch.isfinite(features).all():
            raise RuntimeError("not finite")
        return super().forward(features)


class Prompts(nn.Module):
    """Class texts made by a layer from prompts: the layer's batch is the prompts, whatever the records are."""

    def __init__(self, prompts):
        super().__init__()
        self.layer = nn.Linear(4, toys.DIM)
        self.register_buffer("prompts", toys.unit(prompts, 4, seed=8))

    def forward(self, features):
        return features @ self.layer(self.prompts)[: toys.CLASSES].T


class Flattened(Prompts):
    """All prompts in one row: the layer's batch is one."""

    def __init__(self):
        super().__init__(toys.CLASSES)
        self.layer = nn.Linear(4 * toys.CLASSES, toys.CLASSES * toys.DIM)

    def forward(self, features):
        return features @ self.layer(self.prompts.reshape(1, -1)).reshape(toys.CLASSES, toys.DIM).T


class Attention(Around):
    """Records that attend to one another."""

    def forward(self, features):
        return self.layer(features + torch.softmax(features @ features.T, dim=1) @ features)


class Gated(Around):
    """Records that meet once training has moved a bias far enough."""

    def forward(self, features):
        opened = (self.layer.bias.detach().abs().max() > 2).double()
        return self.layer(features + opened * features.mean(0))


class Ahead(Around):
    """Every record sees those after it, none before: the last one touches all others, the first one nobody."""

    def forward(self, features):
        return self.layer(features.flip(0).cumsum(0).flip(0))


class Behind(Around):
    """Every record sees those before it, as under causal attention: the first one touches all others."""

    def forward(self, features):
        return self.layer(features.cumsum(0))


class Average(Around):
    """Divides by the number of records."""

    def forward(self, features):
        return super().forward(features) / len(features)


class Negatives(Around):
    """Centres scores over the batch."""

    def forward(self, features):
        scores = super().forward(features)
        return scores - scores.mean(0)


class Remembers(Around):
    """Keeps a mean of what it saw, where state_dict does not look."""

    seen = 0.0

    def forward(self, features):
        self.seen = self.seen + features.detach().mean()
        return super().forward(features) + self.seen


class Statistics(Around):
    """Keeps a mean of what it saw beside its output."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(toys.DIM))

    def forward(self, features):
        self.mean.lerp_(features.detach().mean(0), 0.1)
        return super().forward(features)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(toys.DIM, toys.DIM), nn.Linear(toys.DIM, toys.DIM)
        self.two.weight = self.one.weight
        self.out = nn.Linear(toys.DIM, toys.CLASSES)

    def forward(self, features):
        return self.out(self.two(torch.tanh(self.one(features))))


class Unused(Around):
    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(2, 2)


class BehindTheBack(nn.Module):
    """Uses a layer's weight without calling the layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(toys.DIM, toys.DIM)
        self.out = nn.Linear(toys.DIM, toys.CLASSES)

    def forward(self, features):
        return self.out(self.layer(features) + features @ self.layer.weight.T)


class Sequence(Around):
    def forward(self, features):
        return super().forward(features)[:, None]


class Stops(Around):
    """Stops in a way of its own."""

    def forward(self, features):
        raise AssertionError


def frozen():
    return nn.Linear(toys.DIM, toys.CLASSES).requires_grad_(False)


class Deaf(Around):
    """Stops as soon as its bias has moved far."""

    def forward(self, features):
        assert self.layer.bias.abs().max() < 2
        return super().forward(features)


class Fussy(nn.Module):
    """Stops on one kind of finite record, after a layer that Opacus has already noted down."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(toys.DIM, 5), nn.Linear(5, toys.CLASSES)

    def forward(self, features):
        hidden = self.one(features)
        if (features[:, 0] > 1e4).any():
            raise KeyError("too large")
        return self.two(hidden)


class Double(torch.autograd.Function):
    """Identity whose gradient doubles for every record if one record is large."""

    @staticmethod
    def forward(context, features):
        context.save_for_backward(features)
        return features.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * (1 + (context.saved_tensors[0].abs().max() > 100).double())


class Backwards(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(toys.DIM, toys.DIM), nn.Linear(toys.DIM, toys.CLASSES)

    def forward(self, features):
        return self.two(Double.apply(self.one(features)))


class Leaf(nn.Linear):
    """Centres scores inside one layer, which Opacus follows record by record: every gradient is zero."""

    def forward(self, features):
        scores = super().forward(features)
        return scores - scores.mean(0)
