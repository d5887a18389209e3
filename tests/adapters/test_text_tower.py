"""The text tower as a function: open_clip's own texts, and weights that no layer can ignore."""

import copy
from dataclasses import replace

import pytest
import torch

from securefed.adapters.text_tower import TextTower, jacobian
from securefed.errors import ConfigError
from tests.adapters import texts


@pytest.mark.parametrize("templates", [("a photo of a {}.",), ("a photo of a {}.", "{}", "a small {} in a room")])
def test_texts_are_the_frozen_models_own(templates):
    found = texts.tower(texts.NAMES, templates).encode({})

    assert found.dtype == torch.float64
    assert torch.allclose(found.float(), texts.model().encode_classes(texts.NAMES, templates), atol=1e-6)


def test_prompts_are_cut_after_the_longest_and_that_changes_nothing():
    tower = texts.tower()

    assert tower.tokens.shape[2] < texts.model().model.context_length
    own = copy.deepcopy(texts.model().model).double()
    whole = own.encode_text(texts.model().tokenizer([texts.TEMPLATES[0].format(name) for name in texts.NAMES]))
    assert torch.allclose(tower.encode({}), torch.nn.functional.normalize(whole, dim=1), rtol=1e-11)


def test_a_layer_wrapped_around_out_proj_is_ignored_by_open_clip_but_a_replaced_weight_is_not():
    own = copy.deepcopy(texts.model().model).double()
    tokens = texts.model().tokenizer(list(texts.NAMES))
    before = own.encode_text(tokens)

    class Wrapped(torch.nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.weight, self.bias = layer.weight, layer.bias

        def forward(self, x):
            return torch.full_like(x, torch.nan)

    own.transformer.resblocks[0].attn.out_proj = Wrapped(own.transformer.resblocks[0].attn.out_proj)
    assert torch.equal(own.encode_text(tokens), before)

    tower, name = texts.tower(), "resblocks.0.attn.out_proj.weight"
    changed = tower.encode({name: 1.1 * tower.blocks.get_parameter(name)})
    assert ((changed - tower.encode({})).norm(dim=1) > 1e-3).all()
    assert torch.equal(tower.encode({}), texts.tower().encode({}))


def test_some_classes_alone_have_the_same_texts():
    tower = texts.tower()

    assert torch.allclose(tower.encode({}, rows=slice(1, 3)), tower.encode({})[1:3], rtol=1e-12)


def test_the_derivative_is_that_of_all_texts():
    text = texts.low_rank()
    parameters = texts.moved(text).requires_grad_()
    weights = torch.linspace(-1, 1, len(texts.NAMES) * texts.model().dim, dtype=torch.float64)
    (expected,) = torch.autograd.grad(weights @ text.texts(parameters).reshape(-1), parameters)

    assert torch.allclose(weights @ jacobian(text, parameters.detach()), expected, rtol=1e-9, atol=1e-12)


def test_single_precision_of_the_tower_is_nearly_the_same():
    single = TextTower.of(texts.model(), texts.NAMES, texts.TEMPLATES, precision=torch.float32)

    assert single.tokens.dtype == torch.float32
    assert single.encode({}).dtype == torch.float64
    assert torch.allclose(single.encode({}), texts.tower().encode({}), atol=1e-5)


def test_models_whose_texts_come_about_otherwise_are_refused():
    other = copy.deepcopy(texts.model().model)
    other.ln_final = torch.nn.Sequential(other.ln_final, torch.nn.Dropout(0.5).train())
    bidirectional = copy.deepcopy(texts.model().model)
    bidirectional.attn_mask = None

    with pytest.raises(ConfigError, match="another text tower"):
        TextTower.of(replace(texts.model(), model=bidirectional), texts.NAMES, texts.TEMPLATES)
    other.encode_text = lambda tokens: torch.ones(len(tokens), texts.model().dim)
    with pytest.raises(ConfigError, match="another way"):
        TextTower.of(replace(texts.model(), model=other), texts.NAMES, texts.TEMPLATES)
