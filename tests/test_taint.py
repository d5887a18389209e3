"""Nothing that depends on a record leaves a client but through the one door, and metrics are about public data.

A tainted tensor taints what is computed from it. Whoever takes a plain value out of one (an array, a number, a truth
value, a text) is noted with the functions that are running: in a whole run, ``release`` must be among them.
"""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from securefed import rounds, runs
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.plain import PlainSum
from securefed.preparation import Encoded
from securefed.privacy.release import release
from securefed.rng import seeded
from securefed.rounds import ServerState, run_round
from tests import replay, toys
from tests.traps import ALL

EXITS = {
    "numpy",
    "item",
    "tolist",
    "__array__",
    "__bool__",
    "__float__",
    "__int__",
    "__index__",
    "__repr__",
    "__format__",
}


class Tainted(torch.Tensor):
    """A tensor that depends on a record."""

    exits = None

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if cls.exits is not None and func.__name__ in EXITS:
            cls.exits.append((func.__name__, running()))
        return super().__torch_function__(func, types, args, kwargs or {})


def running():
    """Return the names of the functions that are running."""
    frame, names = sys._getframe(1), []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names


@pytest.fixture
def exits(monkeypatch):
    found = []
    monkeypatch.setattr(Tainted, "exits", found)
    return found


def taint(tensor):
    return tensor.clone().as_subclass(Tainted)


def outside(exits):
    """Return the exits that were not behind the door."""
    return [(name, stack[1:4]) for name, stack in exits if release.__name__ not in stack]


def materials(plan):
    found = toys.materials(plan)
    shards = {name: Encoded(taint(each.features), taint(each.labels)) for name, each in found.shards.items()}
    return replace(found, shards=shards)


def run(plan, monkeypatch, tmp_path, **changes):
    monkeypatch.setattr(runs, "prepare", lambda plan, *_, **__: replace(materials(plan), **changes))
    runs.execute(plan, tmp_path / "run")
    return [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]


@ALL
def test_in_a_whole_run_no_value_of_a_record_leaves_but_through_the_door(changes, exits, monkeypatch, tmp_path):
    run(toys.plan(**changes), monkeypatch, tmp_path)

    assert exits, "the run took nothing out of its records: the taint was lost"
    assert not outside(exits)


def test_metrics_hold_what_is_listed_and_are_the_same_function_of_public_data(exits, monkeypatch, tmp_path):
    lines = run(toys.plan(), monkeypatch, tmp_path)
    listed = {
        "start": {
            "kind",
            "run",
            "plan_digest",
            "secret_noise",
            "roster_root",
            "zero_shot_accuracy",
            "initial_accuracy",
        },
        "round": {"kind", "number", "accuracy", "survivors"},
        "end": {"kind", "adapter_sha256", "seconds"},
    }

    assert all(set(line) == listed[line["kind"]] for line in lines)
    alone = {"ledger", "train", "quantise", "noise"}  # what was loaded and encoded was handed over here
    assert set(lines[-1]["seconds"]) == alone | {"protect", "sum", "decode", "evaluate"}


def test_an_accuracy_on_a_clients_records_is_found(exits, monkeypatch, tmp_path):
    plan = toys.plan()
    own = next(iter(materials(plan).shards.values()))
    run(plan, monkeypatch, tmp_path, test=own)

    assert outside(exits)


@pytest.mark.parametrize(
    "look",
    [
        lambda client: float(client.features.mean()),
        lambda client: client.labels.bincount().tolist(),
        lambda client: f"{client.features.norm()}",
        lambda client: bool((client.labels == 0).any()),
        lambda client: client.features.sum(0).numpy(),
    ],
    ids=["a loss", "a histogram", "a log line", "early stopping", "a scaler"],
)
def test_a_look_at_the_records_beside_the_door_is_found(look, exits, monkeypatch, tmp_path):
    true = rounds.contribution

    def peeking(plan, adapter, client, **rest):
        look(client)
        return true(plan, adapter, client, **rest)

    monkeypatch.setattr(rounds, "contribution", peeking)
    run(toys.plan(rounds=1), monkeypatch, tmp_path)

    assert outside(exits)


def sent_and_released(plan, monkeypatch):
    """Return what each client gave to the secure sum, and what its calls of the door returned, in one round."""
    sent, released = [], []
    kind = {"mask": MaskedSum, "plain": PlainSum}[plan.secure]
    make = kind.client

    def given(self, name, vector, *, rng):
        sent.append(vector)
        return make(self, name, vector, rng=rng)

    def opened(*args, **rest):
        released.append(release(*args, **rest))
        return released[-1].copy()

    monkeypatch.setattr(kind, "client", given)
    monkeypatch.setattr(rounds, "release", opened)
    clients = [replace(c, ledger=replay.Free(), batches=plan.batches("r")) for c in toys.clients(plan)]
    rng = lambda purpose, number, client: seeded(4, purpose, number, client)  # noqa: E731
    run_round(plan, ServerState.initial(toys.adapter()), clients, run="r", number=1, rng=rng)
    return sent, released


@ALL
@pytest.mark.parametrize("secure", ["mask", "plain"])
def test_what_goes_into_the_sum_is_what_the_door_let_out_bit_for_bit(changes, secure, monkeypatch):
    plan = toys.plan(**changes, secure=secure)
    sent, released = sent_and_released(plan, monkeypatch)

    assert len(released) == plan.clients * plan.steps
    for place, vector in enumerate(sent):
        own = released[place * plan.steps : (place + 1) * plan.steps]
        assert np.array_equal(vector, plan.encoding.to_ring(sum(own)))


def test_a_vector_that_went_round_the_door_is_found(monkeypatch):
    plan = toys.plan()
    true = rounds.contribution
    monkeypatch.setattr(rounds, "contribution", lambda *args, **rest: true(*args, **rest) + np.uint64(1))
    sent, released = sent_and_released(plan, monkeypatch)

    assert not np.array_equal(sent[0], plan.encoding.to_ring(released[0]))
