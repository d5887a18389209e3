"""The linear probe: zero-shot at the start, and its closed-form gradients against vmap and Opacus."""

import numpy as np
import torch

from securefed.adapters.linear import LinearProbe
from tests.adapters import gradients
from tests.adapters.gradients import CLASSES, DIM, records, unit

TEXT = unit(CLASSES, DIM, seed=2)


def adapter():
    start = LinearProbe.from_text(text=TEXT, scale=20.0)
    return start.moved_to(start.vector() + np.linspace(-0.1, 0.1, len(start.vector())))


class Restated(torch.nn.Module):
    """A linear layer on scaled features."""

    def __init__(self, found):
        super().__init__()
        self.layer = torch.nn.Linear(DIM, CLASSES).double()
        self.layer.weight.data, self.layer.bias.data = found.weight[:, :-1].clone(), found.weight[:, -1].clone()

    def forward(self, features):
        return self.layer(20.0 * features)


def flat(by_name):
    return torch.cat([by_name["layer.weight"], by_name["layer.bias"][:, :, None]], dim=2).flatten(1)


def test_it_starts_as_the_zero_shot_classifier():
    start, (features, _) = LinearProbe.from_text(text=TEXT, scale=20.0), records()

    # With the bias there is one number more to add: which are added first is up to the processor.
    assert torch.allclose(start.logits(features), start.zero_shot(features), rtol=1e-12, atol=1e-12)
    assert torch.allclose(start.logits(features), 20.0 * features @ TEXT.T, rtol=1e-12, atol=1e-12)


def test_logits_and_gradients_are_those_of_the_restated_equations():
    found, (features, labels) = adapter(), records()

    assert torch.allclose(found.logits(features), Restated(found)(features), rtol=1e-12)
    for by in (gradients.by_vmap, gradients.by_opacus):
        expected = flat(by(Restated(found), features, labels))
        assert gradients.equal(found.record_gradients(features, labels), expected)


def test_no_record_changes_the_gradient_of_another():
    assert gradients.stay_apart(adapter(), *records())


def test_gradient_norms_never_exceed_the_bound_and_come_near_it():
    wrong = LinearProbe.from_text(text=TEXT, scale=20.0)
    labels = (wrong.logits(TEXT).argmax(1) + 1) % CLASSES
    norms = wrong.record_gradients(TEXT, labels).norms()

    assert 0.9 * wrong.gradient_bound <= norms.max() <= wrong.gradient_bound


def test_the_file_holds_everything_that_is_needed_to_use_it():
    tensors = adapter().tensors()

    assert tensors["weight"].shape == (CLASSES, DIM + 1)
    assert set(tensors) == {"weight", "text", "scale"}
