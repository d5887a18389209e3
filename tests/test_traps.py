"""Coins fall at the stated rate, the clip norm is the plan's, a ledger holds what really was, and no checkpoint runs.

Each trap is sprung on purpose once, so that its test is seen to find it: their names say ``is_found``.
"""

import hashlib
import os
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from securefed import rounds, runs, training
from securefed.adapters import clip
from securefed.errors import BudgetExceeded, ConfigError, VerificationError
from securefed.privacy import accounting
from securefed.privacy.ledger import Ledger
from securefed.privacy.sampling import Batch, PoissonBatches
from securefed.reports import render
from securefed.reports.report import RunRecord, build
from securefed.reports.verify import verify
from securefed.rng import Source
from securefed.rounds import ServerState, run_round
from tests import replay, toys
from tests.traps import ALL, SETTINGS, clients, sources


class Words(Source):
    """Uniform words just below and just at what a rate allows, in turn."""

    is_secret = False

    def __init__(self, rate):
        self.first_out = 2 * int(rate * 2.0**63)

    def bytes(self, count):
        words = np.resize(np.array([self.first_out - 1, self.first_out], dtype="<u8"), count // 8)
        return words.tobytes()


@pytest.mark.parametrize("records", [1, 2, 92, 93, 105, 1999])
@pytest.mark.parametrize("rate", [1 / 93, 1 / 3, 0.999])
def test_the_samplers_coins_fall_at_the_stated_rate_whatever_the_records(records, rate):
    batch = PoissonBatches(toys.plan().event, rate).draw(records, number=1, rng=Words(rate))

    assert batch.event.sampling.rate == rate
    assert batch.take(lambda _: None).tolist() == list(range(0, records, 2))


def test_no_records_give_a_whole_message_under_every_setting():
    for changes in SETTINGS.values():
        plan = toys.plan(**changes)
        features, labels = toys.unit(4, toys.DIM, seed=1)[:0], torch.arange(0)
        with replay.without_noise():
            assert np.array_equal(replay.answer(plan, toys.adapter(), (features, labels)), np.zeros(plan.dim))


def test_a_second_run_is_refused_by_the_charge_itself_when_the_first_has_spent_the_budget(tmp_path):
    plan = toys.plan()
    ledger = Ledger.open(tmp_path / "l", dataset="d", budget_epsilon=plan.epsilon, budget_delta=plan.delta)
    for number in range(1, plan.rounds + 1):
        ledger.charge(plan.event, run="first", round=number, purpose="train", plan_digest=plan.digest)
    with pytest.raises(BudgetExceeded):
        ledger.charge(plan.event, run="second", round=1, purpose="tune", plan_digest=plan.digest)
    ledger.close()


@contextmanager
def clip_norms(monkeypatch):
    """Collect every clip norm that is used."""
    used = []
    true = training.clip_factors
    with monkeypatch.context() as patch:
        patch.setattr(
            training,
            "clip_factors",
            lambda norms, *, clip_norm: used.append(clip_norm) or true(norms, clip_norm=clip_norm),
        )
        yield used


def varied(plan, scale):
    """Return a cohort whose gradients are short or long: some near the classes' texts, some saturated."""
    return [replace(each, features=each.features * scale) for each in clients(plan, 60)]


def run_on(plan, members):
    """Run all rounds and return what was charged."""
    charged = []

    class Book:
        def charge(self, event, **_):
            charged.append(event)

    state = ServerState.initial(toys.adapter())
    members = [replace(each, ledger=Book()) for each in members]
    for number in range(1, plan.rounds + 1):
        state = run_round(plan, state, members, run="r", number=number, rng=sources(2)).state
    return charged


@ALL
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_clip_norm_of_the_plan_is_the_only_one_and_what_is_charged_does_not_follow_the_data(
    changes, scale, monkeypatch
):
    plan = toys.plan(**changes)
    with clip_norms(monkeypatch) as used:
        charged = run_on(plan, varied(plan, scale))

    assert set(used) == {plan.clip_norm}
    assert set(charged) == {plan.batches("r").event_of(step) for step in range(1, plan.rounds * plan.steps + 1)}


def test_a_clip_norm_that_follows_the_median_is_found(monkeypatch):
    def adaptive(adapter, features, labels, *, clip_norm):
        median = float(adapter.record_gradients(features, labels).norms().median())
        return training.clipped_sum(adapter, features, labels, clip_norm=median)

    monkeypatch.setattr(rounds, "clipped_sum", adaptive)
    plan = toys.plan()
    with clip_norms(monkeypatch) as used:
        run_on(plan, varied(plan, 1.0))

    assert set(used) != {plan.clip_norm}


@pytest.fixture
def execute(monkeypatch, tmp_path):
    """Run a toy plan into a folder, with its report."""

    def executed(plan, name="run"):
        monkeypatch.setattr(runs, "prepare", lambda plan, *_, **__: toys.materials(plan))
        runs.execute(plan, tmp_path / name)
        render.write(build(RunRecord.read(tmp_path / name)), tmp_path / name)
        return tmp_path / name

    return executed


@ALL
def test_the_ledger_holds_the_noise_that_was_drawn_and_the_cohort_that_was_summed(changes, execute, monkeypatch):
    plan = toys.plan(**changes)
    drawn = []
    kind = type(plan.event)
    true = kind.draw
    monkeypatch.setattr(kind, "draw", lambda self, *, rng: drawn.append(self) or true(self, rng=rng))
    folder = execute(plan)
    record = RunRecord.read(folder)
    events = [entry.event for book in record.ledgers.values() for entry in book.entries]

    assert sorted(map(repr, events)) == sorted(map(repr, drawn))
    assert {event.share_stddev for event in events} == {plan.share_stddev}
    assert {event.shares for event in events} == {1 if plan.setting == "per-client" else len(record.ledgers)}
    verify(folder)


@pytest.mark.parametrize("claim", [{"shares": 50}, {"share_stddev": 5e7}, {"sensitivity": 1e7}], ids=str)
def test_an_event_that_claims_more_noise_than_the_plan_has_is_found(claim, execute, monkeypatch):
    """The noise is that of the plan; only what is written down is better."""
    plan = toys.plan()
    take = Batch.take

    def boasting(self, charge):
        return take(self, lambda event: charge(replace(event, **claim)))

    monkeypatch.setattr(Batch, "take", boasting)
    folder = execute(plan)

    with pytest.raises(VerificationError, match="charged for something else than the plan"):
        verify(folder)


def test_a_plan_for_a_larger_cohort_is_another_plan_and_does_not_run_on_this_one():
    plan, larger = toys.plan(), toys.plan(clients=50)
    assert larger.share_stddev < 0.5 * plan.share_stddev
    assert larger.digest != plan.digest
    with pytest.raises(ConfigError, match="make another plan"):
        run_round(larger, ServerState.initial(toys.adapter()), clients(plan, 60), run="r", number=1, rng=sources(1))


# 18: epsilon added over clients, or that of a client that was spared


def test_the_stated_epsilon_is_that_of_the_client_that_spent_most(monkeypatch, tmp_path):
    plan = toys.plan()
    heavy = Ledger.open(
        tmp_path / "books" / "client-2.sqlite",
        dataset=f"{plan.data}/client-2",
        budget_epsilon=10.0,
        budget_delta=plan.delta,
        filter=plan.ledger_filter,
    )
    heavy.charge(plan.event, run="earlier", round=1, purpose="train", plan_digest=plan.digest)
    heavy.close()
    monkeypatch.setattr(runs, "prepare", lambda plan, *_, **__: toys.materials(plan))
    runs.execute(plan, tmp_path / "run", ledgers=tmp_path / "books", budget=10.0)
    record = RunRecord.read(tmp_path / "run")
    spent = {
        name: accounting.epsilon([entry.event for entry in book.entries], delta=plan.delta, view="coalition")
        for name, book in record.ledgers.items()
    }
    report = build(record)

    assert max(spent, key=spent.get) == "client-2"
    assert report["epsilon"] == pytest.approx(spent["client-2"], rel=1e-9)
    assert spent["client-2"] > 1.05 * spent["client-0"]


class Runs:
    """Makes a folder when it is read from a pickle."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("ending", [".pt", ".pth", ".bin"])
def test_a_checkpoint_that_would_run_code_when_it_is_read_is_refused_and_runs_none(ending, tmp_path):
    """Published weights come as PyTorch's archives; only tensors are read from them, whether they are pinned or not."""
    file, made = tmp_path / f"weights{ending}", tmp_path / "made"
    torch.save({"state_dict": {"weight": Runs(made)}}, file)
    for pin in (None, hashlib.sha256(file.read_bytes()).hexdigest()):
        with pytest.raises(ConfigError, match="holds no weights"):
            clip.load(pretrained=str(file), sha256=pin)
    assert not made.exists()


def test_a_checkpoint_that_runs_code_is_found(tmp_path, monkeypatch):
    file, made = tmp_path / "weights.pt", tmp_path / "made"
    torch.save({"state_dict": {"weight": Runs(made)}}, file)
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *args, **rest: load(*args, **rest | {"weights_only": False}))
    with pytest.raises(ConfigError):
        clip.load(pretrained=str(file))
    assert made.exists()
