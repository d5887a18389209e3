"""Any module as an adapter: its gradients are each record's own, and what would couple records is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, grad, vmap

from securefed.errors import ConfigError
from securefed.generic import gradients, trials
from securefed.generic.gradients import DenseGradients
from securefed.training import clipped_sum, clipped_update
from tests import toys
from tests.modules import (
    Ahead,
    Attention,
    Average,
    Backwards,
    Behind,
    BehindTheBack,
    Cache,
    Deaf,
    Flattened,
    Fussy,
    Gated,
    Leaf,
    Negatives,
    Prompts,
    Proud,
    Remembers,
    Scaled,
    Sequence,
    Statistics,
    Stops,
    Tied,
    Unused,
    adapter,
    frozen,
    network,
    records,
)


def by_vmap(module, features, labels):
    module = module.double()
    names = [name for name, each in module.named_parameters() if each.requires_grad]

    def loss(parameters, feature, label):
        scores = functional_call(module, parameters, (feature[None],))
        return nn.functional.cross_entropy(scores, label[None])

    parameters = {name: module.get_parameter(name).detach() for name in names}
    found = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, features, labels)
    return torch.cat([found[name].reshape(len(features), -1) for name in names], dim=1)


def close(found, expected):
    return bool(((found - expected).norm(dim=1) <= 1e-10 * expected.norm(dim=1)).all())


@pytest.mark.parametrize(
    "module",
    [network(), nn.Sequential(Scaled(), nn.Linear(toys.DIM, toys.CLASSES)), Cache(toys.adapter())],
    ids=["layers", "functorch", "cache"],
)
def test_per_record_gradients_equal_vmap(module):
    features, labels = records()

    assert close(adapter(module).record_gradients(features, labels).dense(), by_vmap(module, features, labels))


def test_the_cache_as_a_module_has_the_gradients_of_its_closed_form():
    features, labels = records()
    closed = toys.adapter().record_gradients(features, labels)
    found = adapter(Cache(toys.adapter())).record_gradients(features, labels)

    assert close(found.dense(), closed.dense())
    assert torch.allclose(found.norms(), closed.norms(), rtol=1e-10)
    weights = torch.linspace(0, 1, len(labels), dtype=torch.float64)
    assert torch.allclose(found.weighted_sum(weights), closed.weighted_sum(weights), rtol=1e-10)
    sums = [
        clipped_sum(each, features, labels, clip_norm=0.1) for each in (toys.adapter(), adapter(Cache(toys.adapter())))
    ]
    assert np.allclose(*sums, rtol=1e-10)


def test_only_parameters_that_ask_for_a_gradient_are_trained():
    module = network()
    module[0].requires_grad_(False)
    found, (features, labels) = adapter(module), records()

    assert len(found.vector()) == sum(each.numel() for each in module.parameters() if each.requires_grad)
    assert close(found.record_gradients(features, labels).dense(), by_vmap(module, features, labels))


def test_moving_writes_the_vector_and_leaves_the_first_adapter_as_it_was():
    first = adapter(network())
    start = first.vector()
    moved = first.moved_to(start + 1)

    assert np.array_equal(moved.vector(), start + 1)
    assert np.array_equal(first.vector(), start)
    assert not torch.equal(moved.logits(records()[0]), first.logits(records()[0]))
    with pytest.raises(ConfigError, match="trainable parameters"):
        first.moved_to(start[1:])


def test_the_callers_module_is_neither_changed_nor_kept():
    module = network().eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    found = adapter(module)
    found.record_gradients(*records())
    with torch.no_grad():
        module[0].weight.zero_()

    assert found.vector()[: toys.DIM].any()
    assert not module.training
    assert all(each.dtype == torch.float32 and not hasattr(each, "grad_sample") for each in module.parameters())
    assert torch.equal(module[3].weight, before["3.weight"])


def test_the_file_holds_everything_that_is_needed_to_use_it():
    module = network()
    tensors = adapter(module).tensors()

    assert set(tensors) == {f"module.{name}" for name in module.state_dict()} | {"text", "scale"}
    assert all(values.dtype == np.float64 for values in tensors.values())


def test_no_records_give_no_rows_and_a_zero_sum():
    features, labels = records(0)
    found = adapter(network())

    assert found.record_gradients(features, labels).dense().shape == (0, len(found.vector()))
    assert not clipped_sum(found, features, labels, clip_norm=1.0).any()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_record_that_is_not_finite_is_not_shown_to_the_module_and_weighs_nothing(bad):
    found, (features, labels) = adapter(Proud()), records()
    spoilt = features.clone()
    spoilt[4, 2] = bad
    kept = torch.arange(len(labels)) != 4

    expected = clipped_sum(found, features[kept], labels[kept], clip_norm=0.1)
    assert np.allclose(clipped_sum(found, spoilt, labels, clip_norm=0.1), expected, rtol=1e-12)
    everything = torch.full_like(features, bad)
    assert not clipped_sum(found, everything, labels, clip_norm=0.1).any()


def test_a_gradient_that_overflows_weighs_nothing():
    rows = torch.tensor([[1.0, 2.0], [torch.inf, 0.0], [torch.nan, 1.0]], dtype=torch.float64)
    gradients = DenseGradients(rows)

    assert torch.equal(
        gradients.weighted_sum(torch.tensor([0.5, 0.0, 0.0]).double()), torch.tensor([0.5, 1.0]).double()
    )


COUPLED = "one record changes the gradient of another"


REFUSED = [
    (Prompts(10), "gradients for 10 rows, but there are 5 records"),
    (Prompts(5), COUPLED),
    (Flattened(), "gradients for 1 rows"),
    (nn.Sequential(nn.Linear(toys.DIM, 5), nn.BatchNorm1d(5), nn.Linear(5, toys.CLASSES)), "running statistics"),
    (
        nn.Sequential(nn.Linear(toys.DIM, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, toys.CLASSES)),
        COUPLED,
    ),
    (Attention(), COUPLED),
    (Ahead(), COUPLED),
    (Behind(), COUPLED),
    (Negatives(), COUPLED),
    (Average(), "depends on how many records"),
    (nn.Sequential(nn.Linear(toys.DIM, 8), nn.Dropout(0.1), nn.Linear(8, toys.CLASSES)), "dropout"),
    (nn.Sequential(nn.Linear(toys.DIM, toys.CLASSES), nn.Dropout(1e-12)), "dropout"),  # draws, but is hardly ever seen
    (Remembers(), "remembers earlier batches"),
    (Statistics(), "running statistics"),
    (Tied(), "tied parameters"),
    (Unused(), "unused"),
    (BehindTheBack(), "where Opacus does not look"),
    (Sequence(), "made scores of shape"),
    (nn.Linear(toys.DIM + 1, toys.CLASSES), "stopped on 5 random features"),
    (Stops(), "stopped on 5 random features"),
    (frozen(), "nothing could be trained"),
]


@pytest.mark.parametrize(("module", "words"), REFUSED, ids=lambda value: type(value).__name__)
def test_a_module_that_would_break_clipping_is_refused_by_name(module, words):
    with pytest.raises(ConfigError, match=words):
        adapter(module)


def test_a_gate_that_opens_in_training_is_found_before_it_is_used():
    """At a closed gate the scores of records do not meet; the trial is repeated wherever the adapter is moved."""
    moved = adapter(Gated()).moved_to(np.zeros(toys.CLASSES * (toys.DIM + 1))).settled()
    opened = moved.moved_to(moved.vector() + 100)

    for use in (opened.settled, lambda: opened.logits(records()[0])):
        with pytest.raises(ConfigError, match=COUPLED):
            use()
    assert not clipped_sum(opened, *records(), clip_norm=1.0).any()


@pytest.mark.parametrize("kind", [Gated, Deaf])
def test_what_a_clients_own_records_do_to_a_module_between_local_steps_is_not_told(kind):
    """Whether a client's message is there must not depend on its labels."""
    start = adapter(kind())
    start = start.moved_to(np.zeros_like(start.vector()))
    features, labels = records(30)
    updates = [
        clipped_update(start, features, found, clip_norm=100.0, steps=3, learning_rate=30.0)
        for found in (labels, torch.zeros_like(labels))
    ]
    first = clipped_update(start, features, torch.zeros_like(labels), clip_norm=100.0, steps=1, learning_rate=30.0)

    assert np.isfinite(updates).all()
    assert np.array_equal(updates[1], first)  # the other steps met a module that is not trusted, and added nothing


@pytest.mark.parametrize("places", [[4], [0, 1, 8], list(range(9))], ids=str)
def test_a_record_on_which_the_module_stops_weighs_nothing_and_the_others_are_as_without_it(places):
    found, (features, labels) = adapter(Fussy()), records()
    spoilt = features.clone()
    spoilt[places, 0] = 1e5
    kept = torch.tensor([place not in places for place in range(9)])
    rows = found.record_gradients(spoilt, labels).dense()

    assert rows[~kept].isnan().all()
    assert close(rows[kept], found.record_gradients(features[kept], labels[kept]).dense())
    expected = clipped_sum(found, features[kept], labels[kept], clip_norm=0.1)
    assert np.allclose(clipped_sum(found, spoilt, labels, clip_norm=0.1), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda s, y: nn.functional.cross_entropy(s, y, weight=torch.tensor([9.0, 1, 1]).double()), "not a mean"),
        (
            lambda s, y: nn.functional.cross_entropy(s, y, reduction="none") / (1 + 8 * (y == 0)).sum(),
            COUPLED,
        ),
        (lambda s, y: nn.functional.cross_entropy(s, y, reduction="none") / len(y), "depends on how many records"),
    ],
    ids=["class-weighted mean", "divided by the classes' weights", "divided by the records"],
)
def test_a_loss_that_couples_records_is_refused(monkeypatch, loss, words):
    monkeypatch.setattr(gradients, "losses", loss)
    with pytest.raises(ConfigError, match=words):
        adapter(network())


@pytest.mark.parametrize(
    ("guard", "module"),
    [
        ("_is_a_function", Statistics()),
        ("_scores_stay_apart", Leaf(toys.DIM, toys.CLASSES)),
        ("_gradients_stay_apart", Backwards()),
        ("_equal_alone", Average()),
    ],
)
def test_each_guard_is_needed(monkeypatch, guard, module):
    """Without it, a module passes that it refuses: no other guard stands in for it."""
    with pytest.raises(ConfigError):
        adapter(module)
    monkeypatch.setattr(trials, guard, lambda *_: None)
    adapter(module)


def test_keys_made_from_data_cannot_be_trained():
    with pytest.raises(ConfigError, match="'private'"):
        clipped_sum(adapter(network(), provenance="private"), *records(), clip_norm=1.0)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 10_000), st.floats(1e-3, 3.0), st.integers(1, 12))
def test_one_record_moves_a_clipped_sum_by_at_most_the_clip_norm(seed, clip_norm, count):
    features, labels = records(count, seed)
    sums = [clipped_sum(NETWORK, features[:n], labels[:n], clip_norm=clip_norm) for n in (count, count - 1)]

    assert np.linalg.norm(sums[0] - sums[1]) <= clip_norm * (1 + 1e-12)


NETWORK = adapter(network())
