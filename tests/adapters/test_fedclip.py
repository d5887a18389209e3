"""FedCLIP: its equations, restated, and its closed-form gradients against vmap and Opacus."""

import numpy as np
import pytest
import torch

from securefed.adapters import clip, fedclip
from securefed.adapters.fedclip import FedCLIP
from securefed.data import datasets, world
from securefed.errors import ConfigError
from securefed.rng import seeded
from tests.adapters import gradients
from tests.adapters.gradients import CLASSES, DIM, records, unit

TEXT = unit(CLASSES, DIM, seed=2)


def adapter(length=9.0):
    return FedCLIP.drawn(text=TEXT, scale=20.0, length=length, rng=seeded(1))


class Restated(torch.nn.Module):
    """The published module: Linear, Tanh, Linear, Softmax, multiplied on the feature as the tower gives it."""

    def __init__(self, found, length):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(DIM, DIM), torch.nn.Tanh(), torch.nn.Linear(DIM, DIM), torch.nn.Softmax(dim=1)
        ).double()
        for layer, both in ((self.layers[0], found.first), (self.layers[2], found.second)):
            layer.weight.data, layer.bias.data = both[:, :-1].clone(), both[:, -1].clone()
        self.length = length

    def forward(self, features):
        image = features * self.length
        image = self.layers(image) * image
        image = image / image.norm(dim=1, keepdim=True)
        return 20.0 * image @ TEXT.t()


def flat(by_name):
    parts = []
    for i in (0, 2):
        weight, bias = by_name[f"layers.{i}.weight"], by_name[f"layers.{i}.bias"]
        parts.append(torch.cat([weight, bias[:, :, None]], dim=2).flatten(1))
    return torch.cat(parts, dim=1)


def test_logits_are_those_of_the_restated_equations():
    features, _ = records()

    assert torch.allclose(adapter().logits(features), Restated(adapter(), 9.0)(features), rtol=1e-12, atol=0)


def test_closed_form_gradients_equal_vmap():
    found, (features, labels) = adapter(), records()

    expected = flat(gradients.by_vmap(Restated(found, 9.0), features, labels))
    assert gradients.equal(found.record_gradients(features, labels), expected)


def test_closed_form_gradients_equal_opacus():
    found, (features, labels) = adapter(), records()

    expected = flat(gradients.by_opacus(Restated(found, 9.0), features, labels))
    assert gradients.equal(found.record_gradients(features, labels), expected)


def test_norms_are_those_of_the_formula():
    found, (features, labels) = adapter(), records()
    first, second = found.record_gradients(features, labels).parts
    hidden = torch.tanh(9.0 * features @ found.first[:, :-1].T + found.first[:, -1])

    expected = second.left.norm(dim=1) ** 2 * (hidden.norm(dim=1) ** 2 + 1)
    expected += first.left.norm(dim=1) ** 2 * ((9.0 * features).norm(dim=1) ** 2 + 1)
    assert torch.allclose(found.record_gradients(features, labels).norms() ** 2, expected)


def test_no_record_changes_the_gradient_of_another():
    assert gradients.stay_apart(adapter(), *records())


def test_a_moved_adapter_has_its_own_gradients():
    found, (features, labels) = adapter(), records()
    moved = found.moved_to(found.vector() + seeded(5).generator().normal(size=len(found.vector())))

    expected = flat(gradients.by_vmap(Restated(moved, 9.0), features, labels))
    assert gradients.equal(moved.record_gradients(features, labels), expected)
    assert torch.equal(found.first, adapter().first)


def test_gradient_norms_never_exceed_the_bound():
    found = adapter()
    for seed in range(6):
        moved = found.moved_to(found.vector() + seeded(seed).generator().normal(size=len(found.vector())))
        norms = moved.record_gradients(*records(400)).norms()

        assert norms.max() <= moved.gradient_bound
    assert found.record_gradients(*records(400)).norms().max() > 0.01 * found.gradient_bound


def test_the_length_of_features_matters_inside_tanh_and_nowhere_else():
    features, _ = records()
    short, long = adapter(1.0), adapter(9.0)

    assert not torch.allclose(short.logits(features), long.logits(features), rtol=1e-3)
    layers = short.first.clone()
    layers[:, :-1] *= 9.0  # what a feature nine times as long does to the first layer
    same = short.moved_to(torch.stack([layers, short.second]).reshape(-1).numpy())
    assert torch.allclose(same.logits(features), long.logits(features), rtol=1e-12)


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan"), float("inf")])
def test_features_without_a_length_are_refused(length):
    with pytest.raises(ConfigError, match="length"):
        adapter(length)


def test_layers_start_as_pytorch_starts_them_and_the_variant_as_the_identity():
    text = unit(3, 256, seed=1)
    drawn = FedCLIP.drawn(text=text, scale=1.0, length=1.0, rng=seeded(0))
    linear = torch.nn.Linear(256, 256)

    for both in (drawn.first, drawn.second):
        assert both.abs().max() <= 1 / 16
        assert both[:, :-1].std().item() == pytest.approx(linear.weight.std().item(), rel=0.02)
        assert both[:, -1].std().item() == pytest.approx(linear.bias.std().item(), rel=0.2)
    identity = FedCLIP.identity(text=text, scale=1.0, length=1.0)
    assert torch.equal(identity.first[:, :-1], torch.eye(256, dtype=torch.float64))
    assert not identity.second[:, -1].any()
    assert drawn.provenance == identity.provenance == "public"
    assert torch.equal(FedCLIP.drawn(text=text, scale=1.0, length=1.0, rng=seeded(0)).second, drawn.second)


def test_at_dimension_512_it_has_the_published_number_of_parameters():
    assert len(FedCLIP.identity(text=unit(7, 512, seed=1), scale=1.0, length=10.0).vector()) == 525_312


def test_the_file_holds_everything_that_is_needed_to_use_it():
    tensors, features = adapter().tensors(), records()[0]
    restored = FedCLIP(
        *(torch.from_numpy(tensors[name]) for name in ("first", "second", "text")),
        *tensors["scale_length"].tolist(),
        provenance="public",
    )

    assert torch.equal(restored.logits(features), adapter().logits(features))
    assert np.array_equal(restored.vector(), adapter().vector())


def test_the_mean_length_is_that_of_the_towers_own_features():
    model = clip.load()
    pixels = datasets.public_images(world.OBJECTS[:4], 5, rng=seeded(3)).pixels
    with torch.no_grad():
        expected = model.model.encode_image(model.prepared(pixels)).norm(dim=1)

    assert fedclip.mean_length(model, pixels) == pytest.approx(expected.mean().item(), rel=1e-4)
