"""Prompt tuning: open_clip's own code on prompts with other words, and exact gradients."""

import copy

import pytest
import torch

from securefed.adapters.prompts import STDDEV, Prompts
from securefed.adapters.through_text import ThroughText
from securefed.errors import ConfigError
from securefed.rng import seeded
from tests.adapters import gradients, texts


def prompts():
    return Prompts.from_words(texts.model(), texts.NAMES)


def records(count=11):
    return gradients.records(count, dim=texts.model().dim, classes=len(texts.NAMES))


class Published(torch.nn.Module):
    """CoOp: the embeddings of the context are a parameter, whatever the tokens say."""

    def __init__(self, context):
        super().__init__()
        self.clip = copy.deepcopy(texts.model().model).double().requires_grad_(False)
        self.tokens = texts.model().tokenizer([f"a photo of a {name}." for name in texts.NAMES])
        self.context = torch.nn.Parameter(context.reshape(4, -1).clone())

    def forward(self, features):
        clip = self.clip
        embedded = clip.token_embedding(self.tokens)
        context = self.context.expand(len(self.tokens), -1, -1)
        x = torch.cat([embedded[:, :1], context, embedded[:, 5:]], dim=1) + clip.positional_embedding
        x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask))
        x = x[torch.arange(len(x)), self.tokens.argmax(dim=1)] @ clip.text_projection
        return texts.model().logit_scale * features @ (x / x.norm(dim=1, keepdim=True)).T


def test_words_start_as_the_prompt_that_they_are():
    found = prompts()

    assert found.words == 4
    assert torch.allclose(found.texts(found.start), texts.tower().encode({}), rtol=1e-12)


def test_logits_and_gradients_are_those_of_the_restated_equations():
    text, (features, labels) = prompts(), records(5)
    moved = texts.moved(text)
    found = ThroughText.over(text).moved_to(moved.numpy())
    module = Published(moved)

    assert torch.allclose(found.logits(features), module(features), rtol=1e-9)
    expected = texts.one_by_one(module, [module.context], features, labels)
    assert gradients.equal(found.record_gradients(features, labels), expected)


@pytest.mark.parametrize("by", [gradients.by_vmap, gradients.by_opacus])
def test_per_record_gradients_equal_vmap_and_opacus(by):
    found, (features, labels) = ThroughText.over(prompts()), records(5)
    expected = by(texts.Tuned(found.encoder, found.parameters), features, labels)["parameters_"]

    assert gradients.equal(found.record_gradients(features, labels), expected)


def test_no_record_changes_the_gradient_of_another():
    assert gradients.stay_apart(ThroughText.over(prompts()), *records())


def test_drawn_words_are_small_repeatable_and_as_many_as_asked_for():
    found = Prompts.drawn(texts.model(), texts.NAMES, rng=seeded(0), words=8)

    assert (found.words, len(found.start)) == (8, 8 * 128)
    assert found.start.std().item() == pytest.approx(STDDEV, rel=0.1)
    assert torch.equal(found.start, Prompts.drawn(texts.model(), texts.NAMES, rng=seeded(0), words=8).start)
    assert torch.allclose(found.texts(found.start, slice(1, 2)), found.texts(found.start)[1:2], rtol=1e-12)


def test_prompts_without_words_or_with_too_many_are_refused():
    with pytest.raises(ConfigError, match="has no words"):
        Prompts.from_words(texts.model(), texts.NAMES, words=" ")
    with pytest.raises(ConfigError, match="tokens"):
        Prompts.drawn(texts.model(), texts.NAMES, rng=seeded(0), words=16)
