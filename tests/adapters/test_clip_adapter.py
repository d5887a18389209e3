"""CLIP-Adapter: its equations, restated, and its closed-form gradients against vmap and Opacus."""

import pytest
import torch

from securefed.adapters.clip_adapter import ClipAdapter
from securefed.errors import ConfigError
from securefed.rng import seeded
from tests.adapters import gradients
from tests.adapters.gradients import CLASSES, DIM, records, unit

TEXT = unit(CLASSES, DIM, seed=2)


def adapter(**choices):
    found = ClipAdapter.drawn(text=TEXT, scale=20.0, rng=seeded(1), **choices)
    # As drawn, a third of the records has an empty bottleneck; larger layers give all of them a gradient.
    return found.moved_to(3 * found.vector())


class Restated(torch.nn.Module):
    """The published module: two linear layers without bias, each followed by a ReLU, blended with the feature."""

    def __init__(self, found, ratio=0.2):
        super().__init__()
        width = len(found.down)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(DIM, width, bias=False),
            torch.nn.ReLU(),
            torch.nn.Linear(width, DIM, bias=False),
            torch.nn.ReLU(),
        ).double()
        self.layers[0].weight.data, self.layers[2].weight.data = found.down.clone(), found.up.clone()
        self.ratio = ratio

    def forward(self, features):
        image = self.ratio * self.layers(features) + (1 - self.ratio) * features
        return 20.0 * image / image.norm(dim=-1, keepdim=True) @ TEXT.t()


def flat(by_name):
    return torch.cat([by_name[f"layers.{i}.weight"].flatten(1) for i in (0, 2)], dim=1)


def seen():
    """Return records whose bottleneck is not empty: the others have no gradient, relative to which nothing is close."""
    features, labels = records(40)
    used = gradients.by_vmap(Restated(adapter()), features, labels)["layers.0.weight"].flatten(1).norm(dim=1) > 0
    return features[used][:11], labels[used][:11]


def test_logits_are_those_of_the_restated_equations():
    features, _ = records()

    assert torch.allclose(adapter().logits(features), Restated(adapter())(features), rtol=1e-12)


@pytest.mark.parametrize("length", [0.1, 9.0])
def test_the_length_of_features_changes_nothing(length):
    features, _ = records()

    assert torch.allclose(adapter().logits(length * features), adapter().logits(features), rtol=1e-12)


@pytest.mark.parametrize("by", [gradients.by_vmap, gradients.by_opacus])
def test_closed_form_gradients_equal_vmap_and_opacus(by):
    found, (features, labels) = adapter(), seen()

    assert len(labels) == 11
    assert gradients.equal(found.record_gradients(features, labels), flat(by(Restated(found), features, labels)))


def test_no_record_changes_the_gradient_of_another():
    assert gradients.stay_apart(adapter(), *seen())


def test_the_bottleneck_is_narrower_and_the_layers_start_as_pytorch_starts_them():
    found = ClipAdapter.drawn(text=unit(3, 256, seed=1), scale=1.0, rng=seeded(0))

    assert found.down.shape == (64, 256)
    assert found.up.shape == (256, 64)
    assert found.down.abs().max() <= 1 / 16
    assert 1 / 8 >= found.up.abs().max() > 0.99 / 8
    assert len(found.vector()) == 2 * 64 * 256


@pytest.mark.parametrize("choices", [{"ratio": 0.0}, {"ratio": 1.0}, {"reduction": 0}, {"reduction": 13}], ids=str)
def test_choices_that_make_no_adapter_are_refused(choices):
    with pytest.raises(ConfigError):
        adapter(**choices)


def test_the_file_holds_everything_that_is_needed_to_use_it():
    tensors, features = adapter().tensors(), records()[0]
    restored = ClipAdapter(
        *(torch.from_numpy(tensors[name]) for name in ("down", "up", "text")),
        *tensors["scale_ratio"].tolist(),
        provenance="public",
    )

    assert torch.equal(restored.logits(features), adapter().logits(features))
