"""Personalisation: better for its client, and no way out but the door."""

import copy
import functools
import pickle
import stat
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from securefed import personal
from securefed.errors import BudgetExceeded, ConfigError
from securefed.personal import UNITS, Personal, Tuning, measured, measurement, tuned
from securefed.privacy import accounting
from securefed.privacy.clipping import Adjacency
from securefed.privacy.ledger import Ledger
from securefed.rng import secure, seeded
from securefed.training import clipped_sum, clipped_update
from tests import toys

TUNING = Tuning(learning_rate=2.0, clip_norm=0.5)


def records(count=80, *, shift=1):
    """Return one client's records, whose classes are called otherwise than everybody's."""
    features = toys.unit(count, toys.DIM, seed=5)
    return features, (toys.adapter().logits(features).argmax(1) + shift) % toys.CLASSES


@functools.cache
def mine(tuning=TUNING, count=80):
    return tuned(toys.adapter(), *records(count), tuning=tuning, rng=seeded(1))


def asked(**changes):
    choices = {"clients": 5, "max_dropouts": 1, "max_colluders": 1, "noise_multiplier": 4.0}
    return measurement(**choices | changes)


def test_a_personal_adapter_is_better_for_its_client_and_the_released_one_stays_as_it_was():
    released, (features, labels) = toys.adapter(), records()
    before = released.vector()
    found = tuned(released, features, labels, tuning=TUNING, rng=seeded(1))

    assert found.accuracy(features, labels) > released.accuracy(features, labels) + 0.3
    assert np.array_equal(released.vector(), before)
    assert (found.predict(features) == labels).double().mean().item() == found.accuracy(features, labels)


def test_steps_are_gradient_descent_with_ditto_s_pull_to_the_released_adapter():
    tuning = Tuning(learning_rate=0.1, clip_norm=1e9, steps=2, proximal=0.3, held_out=0.5)
    released, (features, labels) = toys.adapter(), records(40)
    steps = [each.vector() for each in personal._descent(released, features, labels, tuning)]
    keys, start = released.keys.clone(), released.keys
    for step in steps:
        free = keys.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(replace(released, keys=free).logits(features), labels)
        (gradient,) = torch.autograd.grad(loss + 0.15 * (free - start).square().sum(), free)
        keys = keys - 0.1 * gradient
        assert np.allclose(step, keys.reshape(-1).numpy(), rtol=1e-9)


def test_where_tuning_does_not_help_the_released_adapter_is_kept():
    """Records that the adapter already gets right, and steps that are far too long."""
    features, labels = records(shift=0)
    found = tuned(toys.adapter(), features, labels, tuning=Tuning(learning_rate=1e6, clip_norm=1.0), rng=seeded(1))

    assert torch.equal(found._adapter.keys, toys.adapter().keys)


def test_the_stop_is_decided_on_records_that_no_step_saw():
    seen = []
    descent = personal._descent

    def watched(released, features, labels, tuning):
        seen.append(features)
        return descent(released, features, labels, tuning)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(personal, "_descent", watched)
        tuned(toys.adapter(), *records(), tuning=TUNING, rng=seeded(1))

    features, _ = records()
    assert len(seen[0]) == 60
    assert len(torch.unique(torch.cat([seen[0], features]), dim=0)) == 80


def test_tuning_charges_nothing_because_nothing_leaves(tmp_path):
    """It takes no ledger, and its only results are values that do not leave."""
    assert "ledger" not in tuned.__code__.co_varnames
    assert "charge" not in tuned.__code__.co_varnames
    assert isinstance(mine(), Personal)


def test_no_round_starts_from_a_personal_adapter():
    features, labels = records()
    with pytest.raises(ConfigError, match="'personal'; only 'public'"):
        clipped_sum(mine(), features, labels, clip_norm=1.0)
    with pytest.raises(ConfigError, match="'personal'; only 'public'"):
        clipped_update(mine(), features, labels, clip_norm=1.0, steps=1, learning_rate=1.0)
    with pytest.raises(ConfigError, match="'personal'; only 'public'"):
        tuned(mine(), features, labels, tuning=TUNING, rng=seeded(1))


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_does_not_become_bytes(way):
    with pytest.raises(ConfigError, match="does not leave its client"):
        way(mine())


def test_it_shows_no_parameter():
    assert repr(mine()) == f"{mine()}" == "Personal(...)"
    assert not hasattr(mine(), "__dict__")
    for name in ("vector", "tensors", "logits", "record_gradients", "moved_to"):
        assert not hasattr(mine(), name)


def test_the_saved_file_is_for_its_owner_and_says_what_it_is(tmp_path):
    path = tmp_path / "mine.safetensors"
    mine().save(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with safe_open(path, "np") as file:
        assert file.metadata() == {"provenance": "personal"}
        assert np.array_equal(file.get_tensor("keys"), mine()._adapter.keys.numpy())
    with pytest.raises(FileExistsError):
        mine().save(path)


def test_one_record_can_move_the_accuracy_by_most_of_its_range():
    """Why an accuracy's sensitivity is its range: one record decides when to stop, and with it every prediction."""
    features, labels = records(40)
    last = seeded(1).generator().permutation(40)[0]
    right = toys.adapter().logits(features).argmax(1)
    found = []
    for label in (labels[last], right[last]):
        neighbour = labels.clone()
        neighbour[last] = label
        tuning = replace(TUNING, held_out=1 / 40)
        found.append(tuned(toys.adapter(), features, neighbour, tuning=tuning, rng=seeded(1)))
    others = toys.unit(200, toys.DIM, seed=8)
    accuracies = [each.accuracy(others, toys.adapter().logits(others).argmax(1)) for each in found]

    # As a mean over 200 records of which none changed, it would be taken to move by nothing at all.
    assert accuracies[1] == 1.0
    assert accuracies[0] < 0.6


def test_an_accuracy_leaves_charged_first_and_with_the_noise_of_its_whole_range(tmp_path):
    event = asked()
    assert event.noise_multiplier("coalition") == pytest.approx(4.0)
    book = Ledger.open(tmp_path / "ledger", dataset="mine", budget_epsilon=1.2, budget_delta=1e-5)
    order = []

    class Watched:
        def accuracy(self, features, labels):
            order.append("measured")
            return 1.0

    def charge(asked):
        order.append("charged")
        return book.charge(asked, run="run", round=1, purpose="measure", plan_digest="0" * 64)

    out = measured(Watched(), *records(), event=event, charge=charge, rng=secure())

    assert order == ["charged", "measured"]
    assert out.shape == (1,)
    (entry,) = book.read().entries
    assert (entry.event, entry.purpose) == (event, "measure")
    with pytest.raises(BudgetExceeded):
        measured(Watched(), *records(), event=event, charge=charge, rng=secure())
    assert order == ["charged", "measured", "charged"]


def test_the_noise_is_that_of_the_event():
    """A share that is too small by a third, or sized for one record in the mean, would be seen."""
    event = asked(adjacency=Adjacency.REPLACE_ONE)
    found = mine()
    exact = UNITS * found.accuracy(*records())
    drawn = [
        measured(found, *records(), event=event, charge=lambda _: None, rng=seeded(i))[0] - exact for i in range(120)
    ]

    # Three of five shares remain; the noise multiplier is the ratio of their sum to the range.
    assert np.std(drawn) * 3**0.5 == pytest.approx(4.0 * UNITS, rel=0.2)
    assert abs(np.mean(drawn)) < 4 * np.std(drawn) / 120**0.5


@pytest.mark.parametrize("changes", [{"sensitivity": UNITS / 80}, {"sensitivity": UNITS - 1.0}, {"dim": 2}], ids=str)
def test_the_door_refuses_an_event_that_is_about_less_than_the_range_before_it_charges(changes):
    charged = []
    with pytest.raises(ConfigError, match="whole range"):
        measured(mine(), *records(), event=replace(asked(), **changes), charge=charged.append, rng=secure())
    assert not charged


def test_the_mean_over_a_large_cohort_is_worth_what_it_costs():
    """A thousand clients, less than epsilon 1 for each: the mean is known to a point."""
    event = asked(clients=1000, max_dropouts=0, max_colluders=0)
    shares = replace(event, dim=1000).draw(rng=seeded(0))

    assert abs(shares.sum()) / UNITS / 1000 < 0.015
    assert accounting.epsilon([event], delta=1e-5, view="coalition") < 1


def test_a_client_without_held_out_records_counts_as_zero():
    features, labels = records()
    exact = measured(mine(), features[:0], labels[:0], event=asked(), charge=lambda _: None, rng=seeded(3))
    noise = replace(asked()).draw(rng=seeded(3))

    assert exact == noise


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0.0},
        {"clip_norm": float("nan")},
        {"steps": 0},
        {"proximal": -1.0},
        {"held_out": 0.0},
        {"held_out": 1.0},
    ],
    ids=str,
)
def test_choices_that_tune_nothing_are_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        replace(TUNING, **changes)


def test_too_few_records_to_decide_when_to_stop_are_refused():
    with pytest.raises(ConfigError, match="both parts need one"):
        mine(count=1)
