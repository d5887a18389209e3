"""FLoRA: open_clip with low-rank weights, restated; exact gradients; what the three servers average."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import open_clip
import pytest
import torch

from securefed.adapters import averaging, flora
from securefed.adapters.lora import SITES, Lora, averaging_error
from securefed.adapters.through_text import LARGEST, ThroughText
from securefed.errors import ConfigError
from securefed.rng import seeded
from tests.adapters import gradients, texts

ALL = ("out", "q", "k", "v", "mlp")


def exact(trained="both", sites=("out",)):
    text = texts.low_rank(sites)
    start = flora.exact(text, trained=trained)
    return replace(start, parameters=texts.moved(text), text=text.texts(texts.moved(text)))


def records(count=11):
    return gradients.records(count, dim=texts.model().dim, classes=len(texts.NAMES))


def published(found, sites=("out",)):
    return texts.Published(found.parameters, sites, rank=2, alpha=4.0)


@pytest.mark.parametrize("sites", [("out",), ("q",), ("v", "k"), ("mlp",), ALL], ids=",".join)
def test_texts_are_those_of_open_clip_with_parametrised_weights(sites):
    text = texts.low_rank(sites)
    expected = texts.Published(texts.moved(text), sites, rank=2, alpha=4.0).texts()

    assert torch.allclose(text.texts(texts.moved(text)), expected, rtol=1e-9, atol=1e-12)
    assert ((expected - text.texts(text.start)).norm(dim=1) > 1e-3).all()


def test_nothing_is_changed_at_the_start():
    text = texts.low_rank(ALL)

    assert torch.equal(text.texts(text.start), texts.tower().encode({}))
    start, (features, _) = flora.exact(text), records()
    assert torch.equal(start.logits(features), start.zero_shot(features))


def test_a_is_gaussian_with_variance_one_over_rank_and_b_is_zero():
    lora = Lora.at(texts.tower(), ALL, rank=8, alpha=1.0)
    start, is_a = lora.drawn(rng=seeded(0)), lora.is_a()

    assert start[is_a].std().item() == pytest.approx(8**-0.5, rel=0.02)
    assert not start[~is_a].any()
    assert torch.equal(start, lora.drawn(rng=seeded(0)))


def test_the_scale_is_alpha_and_not_alpha_over_rank():
    single, double = texts.low_rank(alpha=4.0), texts.low_rank(alpha=8.0)
    parameters = texts.moved(single)
    halved = parameters.clone()
    halved[~single.lora.is_a()] /= 2

    assert torch.allclose(double.texts(halved), single.texts(parameters), rtol=1e-12)


@pytest.mark.parametrize("sites", [("out",), ALL], ids=",".join)
def test_per_record_gradients_equal_those_of_open_clip_one_by_one(sites):
    found, (features, labels) = exact(sites=sites), records(5)
    module = published(found, sites)
    expected = texts.one_by_one(module, _in_order(module, found), features, labels)

    assert torch.allclose(found.logits(features), module(features), rtol=1e-9)
    assert gradients.equal(found.record_gradients(features, labels), expected)


def _in_order(module, found):
    """Return the factors of the module in the order of the vector: both hold the same numbers."""
    factors = module.factors()
    flat = {tuple(factor.reshape(-1)[:4].tolist()): factor for factor in factors}
    ordered = []
    for pair in found.encoder.lora.pairs:
        for start, end in ((pair.start, pair.middle), (pair.middle, pair.end)):
            ordered.append(flat[tuple(found.parameters[start:end][:4].tolist())])
    assert len(ordered) == len(factors)
    return ordered


@pytest.mark.parametrize("by", [gradients.by_vmap, gradients.by_opacus])
def test_per_record_gradients_equal_vmap_and_opacus(by):
    found, (features, labels) = exact(), records(5)
    expected = by(texts.Tuned(found.encoder, found.parameters), features, labels)["parameters_"]

    assert gradients.equal(found.record_gradients(features, labels), expected)


def test_no_record_changes_the_gradient_of_another():
    assert gradients.stay_apart(exact(), *records())


def test_norms_are_the_same_a_few_records_at_a_time(monkeypatch):
    found, (features, labels) = exact(), records(11)
    expected = found.record_gradients(features, labels).norms()
    monkeypatch.setattr("securefed.adapters.through_text.CHUNK", 4)

    assert torch.allclose(found.record_gradients(features, labels).norms(), expected, rtol=1e-12)


def test_training_b_alone_halves_the_vector_and_leaves_a_as_it_was():
    both, half = exact(), exact("b")
    is_a = half.encoder.lora.is_a()
    features, labels = records(5)

    assert 2 * len(half.vector()) == len(both.vector())
    expected = both.record_gradients(features, labels).dense()[:, ~is_a]
    assert gradients.equal(half.record_gradients(features, labels), expected)
    moved = half.moved_to(half.vector() + 1)
    assert torch.equal(moved.parameters[is_a], half.parameters[is_a])
    assert torch.equal(moved.parameters[~is_a], half.parameters[~is_a] + 1)
    assert moved.settled() is moved


def test_alternating_trains_one_factor_a_round_and_local_steps_do_not_change_the_turn():
    first = exact("alternating")
    is_a = first.encoder.lora.is_a()
    local = first.moved_to(first.vector() + 1).moved_to(first.vector() + 2)
    second = local.settled()

    assert torch.equal(local.parameters[~is_a], first.parameters[~is_a] + 2)
    assert torch.equal(local.parameters[is_a], first.parameters[is_a])
    assert np.array_equal(second.vector(), first.parameters[is_a].numpy())
    third = second.moved_to(second.vector() - 1).settled()
    assert np.array_equal(third.vector(), local.vector())
    assert torch.equal(third.parameters[is_a], first.parameters[is_a] - 1)


@pytest.mark.parametrize("trained", ["both", "b", "alternating"])
def test_what_is_kept_restores_both_factors_and_whose_turn_it_is(trained):
    start = exact(trained)
    later = start.moved_to(start.vector() + 1).settled()
    restored = start.restored(later.kept())

    assert np.array_equal(restored.vector(), later.vector())
    assert torch.equal(restored.parameters, later.parameters)
    assert torch.equal(restored.text, later.text)
    assert np.array_equal(restored.settled().vector(), later.settled().vector())


def test_separate_averaging_is_not_the_mean_change_but_is_if_one_factor_is_shared():
    found = exact()
    lora, random = found.encoder.lora, seeded(7).generator()
    clients = [found.vector() + 0.1 * random.normal(size=len(found.vector())) for _ in range(3)]
    shared = [np.where(lora.is_a().numpy(), found.vector(), client) for client in clients]

    assert averaging_error(lora, [torch.from_numpy(client) for client in clients]) > 0.1
    assert averaging_error(lora, [torch.from_numpy(client) for client in shared]) < 1e-12
    mean = found.moved_to(averaging.mean(shared))
    products = torch.stack([lora.pairs[0].product(torch.from_numpy(client)) for client in shared])
    assert torch.allclose(lora.pairs[0].product(mean.parameters), products.mean(0), rtol=1e-9, atol=1e-12)
    assert averaging_error(lora, [torch.zeros(lora.size)]) == 0.0


def test_weights_in_the_mean_are_shares():
    vectors = [np.zeros(2), np.ones(2)]

    assert np.allclose(averaging.mean(vectors), 0.5)
    assert np.allclose(averaging.mean(vectors, [1, 3]), 0.75)
    for weights in ([1], [0, 0], [-1, 2]):
        with pytest.raises(ConfigError, match="weights"):
            averaging.mean(vectors, weights)


def test_logits_by_parameters_are_those_of_the_adapter():
    found, (features, _) = exact("b"), records()
    images, own = found.pair(torch.from_numpy(found.vector()), features)

    assert torch.allclose(found.scale * images @ own.T, found.logits(features), rtol=1e-12)


@pytest.mark.parametrize(
    "choices",
    [{"sites": ()}, {"sites": ("out", "out")}, {"sites": ("in",)}, {"rank": 0}, {"alpha": 0.0}, {"alpha": np.inf}],
    ids=str,
)
def test_choices_that_make_no_low_rank_change_are_refused(choices):
    with pytest.raises(ConfigError):
        texts.low_rank(**choices)


def test_factors_that_cannot_alternate_are_refused():
    with pytest.raises(ConfigError, match="cannot alternate"):
        ThroughText.over(texts.low_rank(), trained="alternating")
    with pytest.raises(ConfigError, match="trained is 'a'"):
        flora.exact(texts.low_rank(), trained="a")


def test_a_derivative_that_does_not_fit_is_refused_before_it_is_made(monkeypatch):
    text = texts.low_rank()
    needed = 8 * len(texts.NAMES) * texts.model().dim * len(text.start)
    assert needed < LARGEST
    monkeypatch.setattr("securefed.adapters.through_text.LARGEST", needed - 1)

    with pytest.raises(ConfigError, match=f"{needed} bytes"):
        flora.exact(text)


def test_the_file_holds_parameters_and_texts():
    tensors = exact("b").tensors()

    assert set(tensors) == {"parameters", "text", "zero_shot_text", "scale"}
    assert tensors["parameters"].shape == exact().vector().shape


def test_on_a_text_tower_of_vit_b_32_it_has_the_published_number_of_parameters():
    with torch.device("meta"):
        blocks = open_clip.transformer.Transformer(width=512, layers=12, heads=8)

    assert (flora.RANK, flora.ALPHA) == (2, 32.0)
    assert Lora.at(SimpleNamespace(blocks=blocks), ("out",), rank=flora.RANK, alpha=flora.ALPHA).size == 24_576
    assert set(SITES) == set(ALL)
