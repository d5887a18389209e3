"""Each privacy setting, whole: what is charged, how far neighbours are apart, how much noise is in the sum."""

import dataclasses

import numpy as np
import pytest
import torch

from securefed import training
from securefed.adapters.base import OuterProducts
from securefed.errors import BudgetExceeded, ConfigError
from securefed.privacy import accounting
from securefed.privacy.ledger import Ledger
from securefed.privacy.shares import SkellamShares
from securefed.rng import secure, seeded
from securefed.rounds import Client, ServerState, contribution, run_round
from securefed.training import clipped_sum, clipped_update
from tests import toys

SETTINGS = {
    "distributed": {},
    "per-client": {"setting": "per-client"},
    "per-client, three local steps": {"setting": "per-client", "local_steps": 3},
    "client-level": {"setting": "client-level", "local_steps": 2},
    "Poisson": {"sampling": "poisson", "sampling_rate": 0.25},
    "Poisson, two local steps": {
        "setting": "per-client", "local_steps": 2, "sampling": "poisson", "sampling_rate": 0.25
    },
    "shuffled": {"sampling": "shuffled", "sampling_rate": 0.5},
    "shuffled, two local steps": {
        "setting": "per-client", "local_steps": 2, "sampling": "shuffled", "sampling_rate": 0.25
    },
    "Skellam": {"noise": "skellam", "bits": 24},
}  # fmt: skip
ALL = pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS.keys())


@pytest.fixture
def books(tmp_path):
    opened = []

    def open_for(plan, folder="ledger"):
        found = {
            name: Ledger.open(
                tmp_path / folder / f"{name}.sqlite",
                dataset=name,
                budget_epsilon=plan.epsilon,
                budget_delta=plan.delta,
                filter=plan.ledger_filter,
            )
            for name in plan.cohort
        }
        opened.extend(found.values())
        return found

    yield open_for
    for ledger in opened:
        ledger.close()


def repeatable(purpose, number, client):
    return seeded(21, purpose, number, client)


def with_batches(plan, clients):
    return [dataclasses.replace(client, batches=plan.batches("r")) for client in clients]


def train(plan, ledgers, *, rng=repeatable):
    state = ServerState.initial(toys.adapter())
    clients = with_batches(plan, toys.clients(plan, ledgers))
    for number in range(1, plan.rounds + 1):
        state = run_round(plan, state, clients, run="r", number=number, rng=rng).state
    return state


class Free:
    """A ledger that charges nothing and remembers what it was asked."""

    def __init__(self):
        self.events = []

    def charge(self, event, **_):
        self.events.append(event)


def answer(plan, client, *, seed, number=1):
    """Return one client's contribution as signed integers."""
    free = dataclasses.replace(client, ledger=Free(), batches=plan.batches("r") if plan.private else None)
    vector = contribution(plan, toys.adapter(), free, run="r", number=number, rng=seeded(seed))
    return plan.encoding.to_signed(vector)


@ALL
def test_a_whole_run_spends_its_target_and_one_more_round_is_refused(changes, books):
    plan = toys.plan(**changes)
    ledgers = books(plan)
    train(plan, ledgers)

    for ledger in ledgers.values():
        events = ledger.read().events
        assert len(events) == plan.rounds * plan.steps
        spent = accounting.epsilon(events, delta=plan.delta, view="coalition")
        assert 0.5 * plan.epsilon < spent <= plan.epsilon * (1 + 1e-9)
    clients = with_batches(plan, toys.clients(plan, ledgers))
    with pytest.raises(BudgetExceeded):
        for number in range(plan.rounds + 1, plan.rounds + 3):
            contribution(plan, toys.adapter(), clients[0], run="r", number=number, rng=secure())


@ALL
def test_masked_and_plain_sums_are_bit_identical(changes, books):
    ends = [
        train(plan, books(plan, secure_sum)).adapter.vector()
        for secure_sum in ("mask", "plain")
        for plan in [toys.plan(**changes, secure=secure_sum)]
    ]

    assert np.array_equal(*ends)


@ALL
def test_what_a_ledger_is_charged_is_what_the_plan_was_sized_for(changes):
    plan = toys.plan(**changes)
    client = dataclasses.replace(toys.clients(plan)[0], ledger=Free(), batches=plan.batches("run"))
    for number in range(1, plan.rounds + 1):
        contribution(plan, toys.adapter(), client, run="run", number=number, rng=seeded(number))

    assert tuple(client.ledger.events) == plan.events


@ALL
def test_the_noise_in_a_message_is_what_was_charged_and_not_three_per_cent_less(changes):
    """Clients without records send noise alone, so that every coordinate is a draw of it."""
    plan = toys.plan(**changes)
    client = toys.clients(plan, records=plan.clients)[0]
    empty = Client(name=client.name, features=client.features[:0], labels=client.labels[:0], ledger=None)
    draws = np.concatenate([answer(plan, empty, seed=seed) for seed in range(320)])
    ratio = draws.std() / (plan.event.share_stddev * np.sqrt(plan.steps))

    assert abs(ratio - 1) < 4 / np.sqrt(2 * len(draws))
    assert abs(0.97 * ratio - 1) > 2 / np.sqrt(2 * len(draws))


@ALL
def test_noise_of_two_clients_is_independent(changes):
    plan = toys.plan(**changes)
    client = toys.clients(plan)[0]
    empty = Client(name=client.name, features=client.features[:0], labels=client.labels[:0], ledger=None)
    one, other = (np.concatenate([answer(plan, empty, seed=2 * s + i) for s in range(60)]) for i in (0, 1))

    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(len(one))


def test_honest_noise_after_dropouts_and_collusion_covers_the_target():
    for changes in ({}, {"setting": "client-level"}):
        plan = toys.plan(**changes, clients=7, max_dropouts=2, max_colluders=1)
        left = plan.clients - plan.max_dropouts - plan.max_colluders
        assert left * plan.share_stddev**2 >= (plan.noise_multiplier * plan.event.sensitivity) ** 2
        assert (left - 1) * plan.share_stddev**2 < (plan.noise_multiplier * plan.event.sensitivity) ** 2


def test_a_clients_whole_update_moves_the_quantised_sum_by_at_most_the_declared_sensitivity():
    """Neighbours differ in a client's whole data: nothing at all, one record, or a thousand adversarial ones."""
    plan = toys.plan(setting="client-level", local_steps=3)
    worst = 0.0
    for trial in range(300):
        draw = torch.Generator().manual_seed(trial)
        records = int(torch.randint(1, 400, (), generator=draw))
        features = toys.unit(records, toys.DIM, seed=trial) * (10.0 ** (trial % 7 - 3))
        labels = torch.randint(toys.CLASSES, (records,), generator=draw) * (trial % 2)
        update = clipped_update(
            toys.adapter(), features, labels, clip_norm=plan.clip_norm, steps=3, learning_rate=plan.learning_rate
        )
        worst = max(worst, float(np.linalg.norm(plan.encoding.to_integers(update))))

    assert 0.9 * plan.clip_norm / plan.encoding.step < worst <= plan.event.sensitivity


def test_a_client_with_a_thousand_times_the_records_moves_a_client_level_sum_no_further():
    plan = toys.plan(setting="client-level")
    features, labels = toys.unit(10_000, toys.DIM, seed=5), torch.zeros(10_000, dtype=torch.int64)
    few, many = (
        clipped_update(toys.adapter(), features[:n], labels[:n], clip_norm=plan.clip_norm, steps=1, learning_rate=1.0)
        for n in (10, 10_000)
    )

    assert np.linalg.norm(few) <= plan.clip_norm * (1 + 1e-12)
    assert np.linalg.norm(many) <= plan.clip_norm * (1 + 1e-12)


def test_a_record_that_is_not_finite_is_left_out_of_a_client_level_update():
    features, labels = toys.unit(4, toys.DIM, seed=5), torch.tensor([0, 1, 2, 0])
    spoilt = features.clone()
    spoilt[3] = torch.nan
    with_it, without = (
        clipped_update(toys.adapter(), found, labels[: len(found)], clip_norm=1e9, steps=1, learning_rate=1.0)
        for found in (spoilt, features[:3])
    )

    np.testing.assert_allclose(4 * with_it, 3 * without, rtol=1e-12)


def test_a_client_level_update_without_records_is_zero():
    features, labels = toys.unit(0, toys.DIM, seed=5), torch.zeros(0, dtype=torch.int64)

    assert not clipped_update(toys.adapter(), features, labels, clip_norm=0.5, steps=2, learning_rate=1.0).any()


def test_a_client_level_update_that_overflows_is_zero_and_no_crash(monkeypatch):
    """Every record's gradient is finite; their sum is not."""
    left, right = torch.zeros(2, toys.CLASSES * toys.KEYS).double(), torch.zeros(2, toys.DIM).double()
    left[:, 0], right[:, 0] = 1e154, 1e154
    monkeypatch.setattr(training, "gradients_of", lambda *_: iter([OuterProducts(left, right)]))
    features, labels = toys.unit(1, toys.DIM, seed=5), torch.tensor([0])
    update = clipped_update(toys.adapter(), features, labels, clip_norm=0.5, steps=1, learning_rate=1.0)

    assert np.isfinite(update).all()
    assert not update.any()


def test_local_steps_follow_the_noisy_sums_that_were_already_paid_for():
    plan = toys.plan(setting="per-client", local_steps=2)
    client = toys.clients(plan)[0]
    source = seeded(3)
    first = plan.encoding.to_integers(
        clipped_sum(toys.adapter(), client.features, client.labels, clip_norm=plan.clip_norm)
    ) + plan.event.draw(rng=source)
    moved = plan.learning_rate * plan.encoding.step * first / (plan.expected_records / plan.clients)
    local = toys.adapter().moved_to(toys.adapter().vector() - moved)
    second = plan.encoding.to_integers(
        clipped_sum(local, client.features, client.labels, clip_norm=plan.clip_norm)
    ) + plan.event.draw(rng=source)

    assert np.array_equal(answer(plan, client, seed=3), first + second)


def test_a_poisson_step_looks_at_the_records_of_its_batch_only():
    plan = toys.plan(sampling="poisson", sampling_rate=0.25)
    client = toys.clients(plan)[0]
    records = plan.batches("r").draw(len(client.labels), number=1, rng=(source := seeded(3))).take(lambda _: None)
    exact = clipped_sum(toys.adapter(), client.features[records], client.labels[records], clip_norm=plan.clip_norm)

    assert 0 < len(records) < len(client.labels)
    assert np.array_equal(answer(plan, client, seed=3), plan.encoding.to_integers(exact) + plan.event.draw(rng=source))


def test_a_smaller_sample_needs_less_noise_and_shuffling_is_no_sample():
    full, poisson, shuffled = (
        toys.plan(rounds=12, **SETTINGS[name]).noise_multiplier for name in ("distributed", "Poisson", "shuffled")
    )

    assert poisson < 0.6 * full
    assert shuffled == pytest.approx(full / np.sqrt(2))  # six passes instead of twelve full batches


def test_skellam_noise_pays_for_its_l1_norm():
    gaussian, skellam = toys.plan(bits=24), toys.plan(bits=24, noise="skellam")

    assert isinstance(skellam.event, SkellamShares)
    assert gaussian.noise_multiplier < skellam.noise_multiplier < 1.3 * gaussian.noise_multiplier


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"local_steps": 2}, "takes one step a round"),
        ({"setting": "client-level", "sampling": "poisson", "sampling_rate": 0.5}, "save nothing"),
        ({"sampling": "poisson"}, "sampling_rate is 1"),
        ({"sampling_rate": 0.5}, "sampling_rate is 0.5"),
        ({"sampling": "shuffled", "sampling_rate": 0.3}, "one over a whole number"),
        ({"sampling": "poisson", "sampling_rate": 0.5, "noise": "skellam"}, "without Poisson"),
        ({"sampling": "poisson", "sampling_rate": 0.5, "adjacency": "replace-one"}, "full batches"),
        ({"setting": "client-level", "delta": 0.3}, "5 clients"),
    ],
    ids=str,
)
def test_choices_that_have_no_proof_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        toys.plan(**changes)


def test_a_ring_without_room_for_skellam_noise_is_refused():
    with pytest.raises(ConfigError, match="use more bits"):
        toys.plan(noise="skellam", bits=8)


def test_a_sampling_plan_refuses_a_client_without_batches():
    plan = toys.plan(sampling="poisson", sampling_rate=0.25)
    client = dataclasses.replace(toys.clients(plan)[0], ledger=Free())
    with pytest.raises(ConfigError, match="has no batches"):
        contribution(plan, toys.adapter(), client, run="r", number=1, rng=secure())
