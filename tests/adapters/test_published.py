"""Training as the papers did it: their loss, their optimiser and their mean, step for step."""

import numpy as np
import pytest
import torch

from securefed.adapters import flora, losses
from securefed.adapters.fedclip import FedCLIP
from securefed.adapters.finetune import FullModel
from securefed.adapters.published import FEDCLIP, FLORA, PROMPTFL, Recipe, Trainer, averaged_round
from securefed.data import datasets, world
from securefed.errors import ConfigError
from securefed.rng import seeded
from tests.adapters import gradients, texts

TEXT = gradients.unit(gradients.CLASSES, gradients.DIM, seed=2)


def adapter():
    return FedCLIP.drawn(text=TEXT, scale=20.0, rng=seeded(1))


def trainer(recipe, count=11, seed=0):
    return Trainer(recipe, *gradients.records(count), rng=seeded(seed))


def test_the_contrastive_loss_is_the_published_one():
    images, labels = gradients.records(6)
    found = losses.batch_loss("info-nce", images, TEXT, labels, scale=20.0)
    scores = 20.0 * images @ TEXT[labels].T
    rows = [-scores[i, i] + torch.logsumexp(scores[i], 0) for i in range(6)]
    columns = [-scores[i, i] + torch.logsumexp(scores[:, i], 0) for i in range(6)]

    assert found.item() == pytest.approx((sum(rows) / 6 + sum(columns) / 6).item() / 2)


def test_under_the_contrastive_loss_one_record_changes_the_gradients_of_others():
    images, labels = gradients.records(6)
    images.requires_grad_()

    def of_first(scaled):
        loss = losses.batch_loss("info-nce", scaled, TEXT, labels, scale=20.0)
        return torch.autograd.grad(loss, images)[0][0]

    changed = torch.cat([images[:5], -images[5:]])
    assert not torch.allclose(of_first(images), of_first(changed), rtol=1e-3)


@pytest.mark.parametrize("unit", ["client", None])
def test_the_contrastive_loss_is_refused_where_records_are_clipped_and_nowhere_else(unit):
    losses.check("info-nce", unit=unit)
    losses.check("cross-entropy", unit="record")
    with pytest.raises(ConfigError, match="compares the records"):
        losses.check("info-nce", unit="record")
    with pytest.raises(ConfigError, match="'hinge'"):
        losses.check("hinge", unit=unit)


def test_a_local_epoch_is_the_published_one():
    recipe = Recipe(learning_rate=1e-3, weight_decay=0.2, batch=5, loss="info-nce", weighted=False)
    found = trainer(recipe).trained(adapter())
    free = torch.nn.Parameter(torch.from_numpy(adapter().vector()))
    adam = torch.optim.Adam([free], lr=1e-3, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2)
    features, labels = gradients.records(11)
    order = torch.from_numpy(seeded(0).generator().permutation(11))
    for rows in (order[:5], order[5:10]):  # the eleventh has no negatives
        adam.zero_grad()
        images, own = adapter().pair(free, features[rows])
        losses.batch_loss("info-nce", images, own, labels[rows], scale=20.0).backward()
        adam.step()

    assert np.allclose(found, free.detach().numpy(), rtol=1e-12)


def test_moments_live_through_rounds_only_if_they_should():
    ends = []
    for keep in (False, True):
        own = trainer(Recipe(learning_rate=1e-3, batch=11, keep_moments=keep))
        model = adapter().moved_to(own.trained(adapter()))
        ends.append(own.trained(model) - model.vector())
    fresh = Trainer(Recipe(learning_rate=1e-3, batch=11), *gradients.records(11), rng=seeded(9)).trained(model)

    # Adam's first step has length learning_rate in every coordinate; later ones remember.
    assert np.allclose(ends[0], fresh - model.vector(), atol=1e-9)
    assert not np.allclose(ends[0], ends[1], atol=1e-4)


def test_fedprox_stays_nearer_to_where_the_round_started():
    moved = [
        np.linalg.norm(
            trainer(Recipe(optimiser="sgd", learning_rate=1e-2, batch=4, epochs=5, proximal=mu)).trained(adapter())
            - adapter().vector()
        )
        for mu in (0.0, 1.0, 10.0)
    ]

    assert moved[0] > moved[1] > moved[2] > 0


def test_the_mean_is_weighted_by_records_or_not():
    recipe = Recipe(optimiser="sgd", learning_rate=1e-2, batch=100)
    sizes = (3, 9)
    vectors = [trainer(recipe, size, seed=size).trained(adapter()) for size in sizes]
    equal, weighted = (
        averaged_round(adapter(), [trainer(recipe, size, seed=size) for size in sizes], weighted=choice).vector()
        for choice in (False, True)
    )

    assert np.allclose(equal, (vectors[0] + vectors[1]) / 2)
    assert np.allclose(weighted, (3 * vectors[0] + 9 * vectors[1]) / 12)


def test_the_published_recipes_are_as_the_papers_released_code_has_them():
    assert (FEDCLIP.loss, FEDCLIP.batch, FEDCLIP.weighted, FEDCLIP.keep_moments) == ("info-nce", 32, False, False)
    assert (FLORA.loss, FLORA.batch, FLORA.weighted, FLORA.keep_moments) == ("info-nce", 128, True, True)
    for recipe in (FEDCLIP, FLORA):
        assert (recipe.learning_rate, recipe.weight_decay, recipe.betas, recipe.eps) == (5e-5, 0.2, (0.9, 0.98), 1e-6)
    assert (PROMPTFL.optimiser, PROMPTFL.learning_rate, PROMPTFL.epochs) == ("sgd", 1e-3, 5)


@pytest.mark.parametrize("changes", [{"learning_rate": 0.0}, {"batch": 0}, {"epochs": 0}, {"proximal": -1.0}], ids=str)
def test_recipes_that_train_nothing_are_refused(changes):
    with pytest.raises(ConfigError):
        Recipe(**{"learning_rate": 1e-3, "batch": 8} | changes)


def test_flora_learns_by_its_published_recipe():
    model = flora.exact(texts.low_rank(alpha=32.0))
    features, labels = gradients.records(60, dim=texts.model().dim, classes=len(texts.NAMES))
    clients = [Trainer(FLORA, features[part], labels[part], rng=seeded(0)) for part in (slice(0, 30), slice(30, 60))]
    before = torch.nn.functional.cross_entropy(model.logits(features), labels)
    for _ in range(3):
        model = averaged_round(model, clients, weighted=True)

    assert torch.nn.functional.cross_entropy(model.logits(features), labels) < before


def test_the_full_model_starts_as_clip_and_learns_in_both_towers():
    clip = texts.model()
    images = datasets.public_images(world.OBJECTS[:3], 8, rng=seeded(3))
    labels = torch.from_numpy(images.labels.copy())
    model = FullModel.of(clip, images.class_names)
    inputs = clip.prepared(images.pixels)
    expected = clip.logit_scale * clip.encode_images(images.pixels) @ clip.encode_classes(images.class_names).T

    assert torch.allclose(model.logits(inputs).float(), expected, atol=1e-3)
    assert len(model.vector()) == sum(each.numel() for each in clip.model.parameters()) - 1
    recipe = Recipe(optimiser="sgd", learning_rate=1e-3, batch=24, epochs=2, proximal=0.1)
    before = [tensor.clone() for tensor in clip.model.state_dict().values()]
    tuned = averaged_round(model, [Trainer(recipe, inputs, labels, rng=seeded(0))], weighted=True)
    assert torch.nn.functional.cross_entropy(tuned.logits(inputs), labels) < torch.nn.functional.cross_entropy(
        model.logits(inputs), labels
    )
    changed = np.flatnonzero(tuned.vector() != model.vector())
    names = [name for name, each in zip(model.names, split(model, changed), strict=True) if each]
    assert any("visual" in name for name in names)
    assert any("transformer" in name for name in names)
    assert all(torch.equal(a, b) for a, b in zip(before, clip.model.state_dict().values(), strict=True))


def split(model, changed):
    """Say for every parameter whether one of the changed places lies in it."""
    sizes = np.array([model.module.get_parameter(name).numel() for name in model.names])
    ends = np.cumsum(sizes)
    found = set(np.searchsorted(ends, changed, side="right").tolist())
    return [i in found for i in range(len(sizes))]
