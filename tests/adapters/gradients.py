"""Per-record gradients of a plain module, two ways, and what must hold of every adapter's own."""

import torch
from opacus import GradSampleModule
from torch.func import functional_call, grad, vmap

CLASSES, DIM = 5, 12


def unit(*shape, seed):
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=-1)


def records(count=11, dim=DIM, classes=CLASSES):
    labels = torch.randint(classes, (count,), generator=torch.Generator().manual_seed(4))
    return unit(count, dim, seed=3), labels


def by_vmap(module, features, labels):
    """Return the gradients by name, one a record."""

    def loss(parameters, feature, label):
        scores = functional_call(module, parameters, (feature[None],))
        return torch.nn.functional.cross_entropy(scores, label[None])

    parameters = {name: value.detach() for name, value in module.named_parameters() if value.requires_grad}
    return vmap(grad(loss), in_dims=(None, 0, 0))(parameters, features, labels)


def by_opacus(module, features, labels):
    """Return the gradients by name, one a record."""
    watched = GradSampleModule(module, loss_reduction="sum", strict=False)
    scores = watched(features.clone().requires_grad_())
    torch.nn.functional.cross_entropy(scores, labels, reduction="sum").backward()
    return {name: value.grad_sample.detach() for name, value in module.named_parameters() if value.requires_grad}


def equal(gradients, expected):
    """Say whether rows, norms and weighted sums are those of the rows that are expected."""
    weights = torch.linspace(0, 1, len(expected), dtype=torch.float64)
    rows = gradients.dense()
    return (
        rows.shape == expected.shape
        and bool(((rows - expected).norm(dim=1) <= 1e-9 * expected.norm(dim=1)).all())
        and torch.allclose(gradients.norms(), expected.norm(dim=1), rtol=1e-9, atol=0)
        and torch.allclose(gradients.weighted_sum(weights), weights @ expected, rtol=1e-9, atol=1e-13)
    )


def stay_apart(adapter, features, labels):
    """Say whether one changed record changes its own gradient and no other's, and a broken one none."""
    place = 4
    rest = torch.arange(len(features)) != place
    before = adapter.record_gradients(features, labels)
    for factor in (-1.0, torch.nan):
        changed = features.clone()
        changed[place] *= factor
        after = adapter.record_gradients(changed, labels)
        if not torch.equal(before.dense()[rest], after.dense()[rest]):
            return False
        if torch.equal(before.dense()[place], after.dense()[place]):
            return False
    # What is not finite weighs nothing, though it is there.
    weights = rest.double()
    return torch.equal(after.weighted_sum(weights), before.weighted_sum(weights))
