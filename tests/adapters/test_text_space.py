"""Training through class texts: what clients send, what the server makes of it, and the conditions of the proof."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from securefed.adapters import flora
from securefed.adapters.conditions import Condition, TextSpaceError, check
from securefed.adapters.prompts import Prompts
from securefed.adapters.text_space import Distil, PullBack, TextSpace, centred, second_moment
from securefed.adapters.text_tower import TunedText, jacobian
from securefed.errors import ConfigError
from securefed.rng import seeded
from securefed.training import clipped_sum
from tests.adapters import gradients, texts


def adapter(**choices):
    return flora.of_prototypes(texts.low_rank(), clip=texts.model(), classes=texts.NAMES, **choices)


def records(count=11):
    return gradients.records(count, dim=texts.model().dim, classes=len(texts.NAMES))


class Restated(torch.nn.Module):
    """Scaled cosines with texts that are free to move."""

    def __init__(self, text, scale):
        super().__init__()
        self.layer = torch.nn.Linear(*reversed(text.shape), bias=False).double()
        self.layer.weight.data, self.scale = text.clone(), scale

    def forward(self, features):
        return self.scale * self.layer(features)


@pytest.mark.parametrize("by", [gradients.by_vmap, gradients.by_opacus])
def test_gradients_are_those_of_the_texts_by_vmap_and_opacus(by):
    found, (features, labels) = adapter(), records()
    module = Restated(found.text, found.scale)

    assert torch.allclose(found.logits(features), module(features), rtol=1e-12)
    expected = by(module, features, labels)["layer.weight"].flatten(1)
    assert gradients.equal(found.record_gradients(features, labels), expected)


def test_no_record_changes_the_gradient_of_another():
    assert gradients.stay_apart(adapter(), *records())


def test_gradient_norms_never_exceed_the_bound_and_come_near_it():
    found = adapter()
    labels = (found.logits(found.text).argmax(1) + 1) % len(texts.NAMES)
    norms = found.record_gradients(found.text, labels).norms()

    assert 0.9 * found.gradient_bound <= norms.max() <= found.gradient_bound


def test_clients_move_texts_and_the_tower_is_not_asked():
    found = adapter(fit=PullBack(), when="every round")
    moved = found.moved_to(found.vector() + 1)

    assert np.array_equal(moved.vector(), found.vector() + 1)
    assert torch.equal(moved.parameters, found.parameters)


def test_pulling_back_is_the_chain_rule():
    text = texts.low_rank()
    start = replace(adapter(fit=PullBack(), when="every round"), parameters=texts.moved(text))
    start = replace(start, text=text.texts(start.parameters))
    features, labels = records()
    gradient = start.record_gradients(features, labels).weighted_sum(torch.ones(11))
    moved = start.moved_to(start.vector() - 1e-4 * gradient.numpy()).settled()

    # What the gradient of the same records with respect to the parameters themselves would do.
    expected = start.parameters - 1e-4 * gradient @ jacobian(text, start.parameters)
    assert torch.allclose(moved.parameters, expected, rtol=1e-9, atol=1e-13)
    assert torch.equal(moved.text, text.texts(moved.parameters))
    assert moved.released() is moved


@pytest.mark.parametrize("relative_clip", [1.0, 0.2])
def test_a_private_step_is_dp_sgd_by_vmap_with_clip_and_noise_at_the_texts(relative_clip):
    """With nothing clipped and no noise it is DP-SGD on the factors; the clip bounds each record at the texts."""
    text, (features, labels) = texts.low_rank(), records()
    start = replace(adapter(fit=PullBack(), when="every round"), parameters=texts.moved(text))
    start = replace(start, text=text.texts(start.parameters))
    bound = relative_clip * start.gradient_bound
    noise = torch.from_numpy(seeded(6).generator().normal(size=len(start.vector()))) * (relative_clip < 1)
    total = torch.from_numpy(clipped_sum(start, features, labels, clip_norm=bound)) + noise
    moved = start.moved_to(start.vector() - 1e-4 * total.numpy()).settled()

    at_factors = gradients.by_vmap(texts.Tuned(text, start.parameters), features, labels)["parameters_"]
    at_texts = gradients.by_vmap(Restated(start.text, start.scale), features, labels)["layer.weight"].flatten(1)
    factors = (bound / at_texts.norm(dim=1)).clamp(max=1)
    assert bool((factors < 1).any()) == (relative_clip < 1)
    common = noise.reshape(start.text.shape) - noise.reshape(start.text.shape).mean(0)
    expected = factors @ at_factors + common.reshape(-1) @ jacobian(text, start.parameters)
    assert torch.allclose(moved.parameters, start.parameters - 1e-4 * expected, rtol=1e-9, atol=1e-13)


def test_noise_that_all_classes_have_in_common_is_taken_out():
    start = adapter(fit=PullBack(), when="every round")
    noise = torch.linspace(-1, 1, texts.model().dim, dtype=torch.float64).expand(len(texts.NAMES), -1)
    features, labels = records()
    moved = start.moved_to(start.vector() + noise.reshape(-1).numpy())

    assert torch.allclose(moved.logits(features).softmax(1), start.logits(features).softmax(1), rtol=1e-9)
    assert torch.allclose(moved.settled().parameters, start.parameters, atol=1e-12)
    assert torch.allclose(centred(start.text + noise), centred(start.text), atol=1e-12)
    # The gradient that is lost with it is none: its rows sum to zero over the classes.
    rows = start.record_gradients(features, labels).dense().reshape(11, len(texts.NAMES), -1)
    assert torch.allclose(rows.sum(1), torch.zeros_like(rows[:, 0]), atol=1e-12)


@pytest.mark.parametrize("metric", [False, True])
def test_distilling_finds_factors_of_texts_that_have_some(metric):
    text = texts.low_rank(("out", "v"))
    features = gradients.unit(200, texts.model().dim, seed=9)
    fit = Distil(steps=150, learning_rate=0.003, metric=second_moment(features) if metric else None)
    start = TextSpace.over(text, clip=texts.model(), classes=texts.NAMES, fit=fit, when="at the end")
    target = text.texts(texts.moved(text, 0.005))
    found = start.moved_to(target.reshape(-1).numpy()).settled().released()

    assert centred(found.text - target).norm() < 0.2 * centred(start.text - target).norm()
    assert torch.equal(found.text, text.texts(found.parameters))


def test_distilling_at_the_end_leaves_the_texts_free_until_then():
    start = adapter(fit=Distil(steps=3))
    moved = start.moved_to(start.vector() + 0.01).settled()

    assert np.array_equal(moved.vector(), start.vector() + 0.01)
    assert torch.equal(moved.parameters, start.parameters)
    assert not torch.equal(moved.released().parameters, start.parameters)


def test_the_metric_ignores_directions_that_no_feature_has():
    flat = torch.zeros(6, 3, dtype=torch.float64)
    flat[:, 0] = 1.0
    fit = Distil(metric=second_moment(flat))

    assert fit._distance(torch.tensor([[0.0, 5.0, 5.0]], dtype=torch.float64)) == 0
    assert fit._distance(torch.tensor([[2.0, 5.0, 5.0]], dtype=torch.float64)) == 4


def test_prompts_are_trained_through_texts_as_well():
    text = Prompts.from_words(texts.model(), texts.NAMES)
    start = TextSpace.over(text, clip=texts.model(), classes=texts.NAMES, fit=PullBack(), when="every round")
    features, labels = records()
    gradient = start.record_gradients(features, labels).weighted_sum(torch.ones(11))
    moved = start.moved_to(start.vector() - 1e-5 * gradient.numpy()).settled()

    expected = start.parameters - 1e-5 * gradient @ jacobian(text, start.parameters)
    assert torch.allclose(moved.parameters, expected, rtol=1e-9)


def test_the_file_holds_parameters_and_texts():
    assert set(adapter().tensors()) == {"parameters", "text", "zero_shot_text", "scale"}


@pytest.mark.parametrize(("steps", "learning_rate"), [(0, 0.1), (1, 0.0), (1, 1.0), (1, float("nan"))])
def test_fits_that_do_nothing_or_run_away_are_refused(steps, learning_rate):
    with pytest.raises(ConfigError):
        Distil(steps=steps, learning_rate=learning_rate)


def test_a_time_that_never_comes_is_refused():
    with pytest.raises(ConfigError, match="never"):
        adapter(when="never")


def test_private_training_starts_as_zero_shot_and_the_factors_that_are_released_have_learned():
    public, (features, labels) = gradients.unit(30, texts.model().dim, seed=9), records()
    found = adapter(fit=Distil(steps=40, metric=second_moment(public)))
    gradient = found.record_gradients(features, labels).weighted_sum(torch.ones(11))
    released = found.moved_to(found.vector() - 1e-3 * gradient.numpy()).settled().released()

    assert torch.equal(found.logits(features), found.zero_shot(features))
    assert torch.equal(found.fit.metric, public.T @ public / 30)
    before, after = (torch.nn.functional.cross_entropy(each.logits(features), labels) for each in (found, released))
    assert after < before
    assert torch.equal(released.text, released.encoder.texts(released.parameters))


class Bent:
    """The adapter with one method bent; every other one is its own."""

    def __init__(self, found, **methods):
        self._found, self._methods = found, methods

    def __getattr__(self, name):
        return self._methods.get(name, getattr(self._found, name))


class BentText(TunedText):
    def __init__(self, text, bend):
        self.tower, self.start, self._text, self._bend = text.tower, text.start, text, bend

    def texts(self, parameters, rows=slice(None)):
        return self._bend(self._text.texts(parameters, rows))


def refused(condition, *, found=None, encoder=None, clip=None, classes=texts.NAMES):
    found = found or adapter()
    with pytest.raises(TextSpaceError, match=condition.value[:30]) as error:
        check(found, encoder or found.encoder, found.parameters, clip=clip or texts.model(), classes=classes)
    return error.value.condition is condition


def coupled(found):
    def record_gradients(features, labels):
        return found.record_gradients(features - features.mean(0), labels)

    return Bent(found, record_gradients=record_gradients)


def averaged(found):
    def record_gradients(features, labels):
        rows = found.record_gradients(features, labels)
        return replace(rows, left=rows.left / len(labels))

    return Bent(found, record_gradients=record_gradients)


def test_1_texts_of_other_classes_than_the_plans_are_refused():
    for classes in (texts.NAMES[:3], texts.NAMES[::-1], (*texts.NAMES, "star")):
        assert refused(Condition.PUBLIC_CLASSES, classes=classes)


def test_2_a_model_that_learns_beside_the_texts_is_refused():
    learning, training = (copy.deepcopy(texts.model().model) for _ in range(2))
    next(learning.visual.parameters()).requires_grad_(True)
    training.visual.train()
    for model in (learning, training):
        assert refused(Condition.ONE_PATH, clip=replace(texts.model(), model=model))
    longer = Bent(adapter(), vector=lambda: np.append(adapter().vector(), 1.0))
    assert refused(Condition.ONE_PATH, found=longer)


def test_3_records_that_change_one_another_are_refused():
    assert refused(Condition.RECORDS_APART, found=coupled(adapter()))


def test_4_texts_that_depend_on_the_image_are_refused():
    found = adapter()

    def logits(features):
        return found.scale * (features * (found.text[:, None] + 0.1 * features)).sum(2).T

    assert refused(Condition.ONE_TEXT, found=Bent(found, logits=logits))


def test_5_a_tower_that_draws_random_numbers_is_refused():
    text = texts.low_rank()
    assert refused(Condition.NO_COINS, encoder=BentText(text, lambda found: found * torch.rand(1)))
    assert refused(Condition.NO_COINS, encoder=BentText(text, lambda found: found + 0 * torch.rand(1)))


def test_6_gradients_that_were_divided_by_the_number_of_records_are_refused():
    assert refused(Condition.PUBLIC_NORMALISER, found=averaged(adapter()))


def test_7_steps_through_the_tower_before_the_clip_are_refused():
    found = adapter(fit=PullBack(), when="every round")
    assert refused(Condition.CLIPPED_AS_RELEASED, found=Bent(found, moved_to=lambda v: found.moved_to(v).settled()))


def test_8_a_temperature_of_its_own_is_refused():
    found = adapter()
    assert refused(Condition.NOTHING_ELSE, found=replace(found, scale=found.scale * 1.01))


def test_conditions_are_tried_before_a_run():
    with pytest.raises(TextSpaceError) as error:
        flora.of_prototypes(texts.low_rank(), clip=texts.model(), classes=texts.NAMES[:2])

    assert error.value.condition is Condition.PUBLIC_CLASSES
    assert len(Condition) == 8
    found = adapter()
    check(found, found.encoder, found.parameters, clip=texts.model(), classes=texts.NAMES)
