"""No noise, message, code path or weight tells how many records a client has.

Each trap is sprung on purpose once, so that its test is seen to find it: their names say ``is_found``.
"""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from securefed import rounds, training
from securefed.adapters import base
from securefed.adapters.base import OuterProducts
from securefed.aggregation.packing import packed_size
from securefed.aggregation.refusals import Malformed
from securefed.aggregation.wire import Kind, encode
from securefed.choices import Choices
from securefed.errors import ProtocolError
from securefed.rng import seeded
from securefed.rounds import ServerState, contribution, run_round
from tests import replay, toys
from tests.traps import ALL, SETTINGS, clients, opened, sources


class Still:
    """An adapter that learns nothing: every gradient is zero, so that a released step is noise alone."""

    def __init__(self, inner):
        self.inner, self.provenance = inner, inner.provenance

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def record_gradients(self, features, labels):
        found = self.inner.record_gradients(features, labels)
        return OuterProducts(left=0 * found.left, right=found.right)

    def moved_to(self, vector):
        return Still(self.inner.moved_to(vector))


def released_steps(plan, records, *, count=16):
    """Return the coordinates of released steps that hold noise only."""
    start = ServerState.initial(Still(toys.adapter()))
    steps = []
    for number in range(1, count + 1):
        done = run_round(plan, start, clients(plan, records), run="r", number=number, rng=sources(records))
        steps.append(done.state.velocity)
    return np.concatenate(steps)


def same_variance(one, other):
    """Return the two-sided p-value of the F-test, from sums of squares: the mean of noise is zero."""
    ratio = np.mean(one**2) / np.mean(other**2)
    tail = stats.f.cdf(ratio, len(one), len(other))
    return 2 * min(tail, 1 - tail)


@ALL
@pytest.mark.parametrize("records", [5, 16])
def test_noise_in_a_released_step_is_the_same_with_one_record_more(changes, records):
    plan = toys.plan(**changes, secure="plain", expected_records=60)

    assert same_variance(released_steps(plan, records), released_steps(plan, records + 1)) > 0.001


def answers_without_gradients(plan, records, *, count=60):
    """Return what one client sends when its records have no gradient: its noise, and nothing else."""
    client = clients(plan, plan.clients * records)[0] if records else emptied(clients(plan, plan.clients)[0])
    adapter = Still(toys.adapter())
    sent = [contribution(plan, adapter, client, run="r", number=1, rng=seeded(records, i)) for i in range(count)]
    return np.concatenate([plan.encoding.to_signed(vector) for vector in sent]).astype(float)


def emptied(client):
    return replace(client, features=client.features[:0], labels=client.labels[:0])


@pytest.mark.parametrize("changes", [SETTINGS[n] for n in ("distributed", "client-level", "Skellam")], ids=str)
@pytest.mark.parametrize("records", [0, 1, 4])
def test_noise_in_a_message_is_the_same_with_one_record_more(changes, records):
    plan = toys.plan(**changes)
    one, other = (answers_without_gradients(plan, each) for each in (records, records + 1))

    assert same_variance(one, other) > 0.001


def test_noise_that_is_divided_by_the_records_is_found():
    plan = toys.plan()
    one, other = (answers_without_gradients(plan, n) / (1 + n) for n in (4, 5))

    assert same_variance(one, other) < 1e-6


def test_a_normaliser_that_counts_records_is_found(monkeypatch):
    plan = toys.plan(secure="plain")
    steps = []
    for records in (5, 6):
        monkeypatch.setattr(Choices, "normaliser", property(lambda _, n=records: float(n)))
        steps.append(released_steps(plan, records, count=48))

    assert same_variance(*steps) < 1e-6


def traffic(plan, records):
    """Return who sent what kind of message of which size, with which numbers and lengths inside, in a masked round."""
    seen = []
    run_round(
        plan,
        ServerState.initial(Still(toys.adapter())),
        clients(plan, records),
        run="r",
        number=1,
        rng=sources(1),
        record=lambda phase, name, way, data: seen.append((phase, name, way, len(data), shape_of(data))),
    )
    return seen


def shape_of(message):
    """Return everything in a frame that is not random: its kind, its numbers, and the lengths of its strings."""
    kind, (numbers, strings, payload) = Kind(message[5]), opened(message)
    return kind, tuple(numbers), tuple(map(len, strings)), tuple(map(len, payload))


@ALL
@pytest.mark.parametrize("records", [5, 16])
def test_messages_are_the_same_with_one_record_more_in_size_and_in_every_number(changes, records):
    plan = toys.plan(**changes)

    assert traffic(plan, records) == traffic(plan, records + 1)


def path_of(plan, records):
    """Return which functions of the package run, in order, when one client makes its contribution."""
    called = []

    def note(frame, event, _):
        if event == "call" and "/securefed/" in frame.f_code.co_filename:
            called.append((frame.f_code.co_filename, frame.f_code.co_qualname))

    adapter, client = Still(toys.adapter()), clients(plan, 5 * records)[0]
    contribution(plan, adapter, client, run="r", number=1, rng=seeded(3))  # what a plan derives once is derived
    client = clients(plan, 5 * records)[0]
    sys.setprofile(note)
    try:
        contribution(plan, adapter, client, run="r", number=1, rng=seeded(3))
    finally:
        sys.setprofile(None)
    return called


@pytest.mark.parametrize("changes", [SETTINGS[n] for n in ("distributed", "client-level", "Skellam")], ids=str)
@pytest.mark.parametrize("records", [1, 7])
def test_one_record_more_takes_the_same_code_path(changes, records):
    plan = toys.plan(**changes)

    assert path_of(plan, records) == path_of(plan, records + 1)


def test_a_path_that_hangs_on_the_number_of_records_is_found(monkeypatch):
    monkeypatch.setattr(base, "CHUNK", 1)
    plan = toys.plan()

    assert path_of(plan, 1) != path_of(plan, 2)


def crowd(plan, count):
    """Return the same record many times: all of it pulls one way."""
    features, labels = toys.unit(1, toys.DIM, seed=9), torch.ones(1, dtype=torch.int64)
    return features.repeat(count, 1), labels.repeat(count)


@pytest.mark.parametrize("setting", ["distributed", "per-client", "client-level"])
def test_a_client_with_a_thousand_times_the_records_moves_the_sum_by_its_clipped_records_and_no_more(setting):
    plan = toys.plan(setting=setting, clip_norm=0.05, expected_records=5000, delta=1e-4)
    with replay.without_noise():
        few, many = (replay.moved(plan, toys.adapter(), (crowd(plan, n), None)) for n in (1, 1000))
    unit = plan.clip_norm / plan.encoding.step
    slack = np.sqrt(plan.dim) + 1

    assert few <= unit + slack
    assert many <= (unit if plan.unit == "client" else 1000 * unit * (1 + 2.0**-20)) + slack


def test_weighting_clients_by_their_records_is_found(monkeypatch):
    """Federated averaging multiplies each update by its number of records: the same bound does not hold."""

    def weighted(adapter, features, labels, **rest):
        return len(labels) * training.clipped_sum(adapter, features, labels, **rest)

    monkeypatch.setattr(rounds, "clipped_sum", weighted)
    with pytest.raises(AssertionError):
        test_a_client_with_a_thousand_times_the_records_moves_the_sum_by_its_clipped_records_and_no_more("distributed")


def test_a_crowded_client_changes_nothing_in_what_others_add():
    plan = toys.plan(rounds=1, secure="plain", expected_records=5000, delta=1e-4)
    cohort = clients(plan, 60)
    heavy = [*cohort[:-1], replace(cohort[-1], **dict(zip(("features", "labels"), crowd(plan, 1000), strict=True)))]
    with replay.without_noise():
        ends = [released(plan, members) for members in (cohort, heavy)]
        own = [replay.answer(plan, toys.adapter(), (each[-1].features, each[-1].labels)) for each in (cohort, heavy)]

    assert np.array_equal(ends[1] - ends[0], own[1] - own[0])


def released(plan, members):
    done = run_round(plan, ServerState.initial(toys.adapter()), members, run="r", number=1, rng=sources(1))
    return np.rint(done.state.velocity * plan.normaliser / plan.encoding.step).astype(np.int64)


def unlisted(plan, name, message, session):
    """Return what is in a client's answer beyond the allow-list: places, context, one string of one size, signature."""
    numbers, (context, _, signature), payload = opened(message)
    holders = session.topology.holders
    lengths = {  # of what a client of a masked sum answers
        Kind.ADVERT: 96,  # two public keys and a commitment
        Kind.SHARES: holders * 144,  # for each holder two commitments and a sealed pair of shares
        Kind.MASKED: packed_size(session.length, plan.bits),
        Kind.AGREEMENT: 32,  # a digest
        Kind.REVEAL: holders * 32,  # one share of each owner
    }
    listed = {
        "kind": message[5] in lengths,
        "places": numbers == [plan.cohort.index(name), session.server],
        "context": context == session.context_of(Kind(message[5])),
        "payload": [len(each) for each in payload] == [lengths.get(message[5])],
        "signature": len(signature) == 64,
    }
    return [field for field, allowed in listed.items() if not allowed]


def answers(plan, monkeypatch):
    """Return the sum's session, and who answered what in a masked round."""
    sums, seen = [], []
    make = rounds.sum_of
    monkeypatch.setattr(rounds, "sum_of", lambda *args, **rest: sums.append(make(*args, **rest)) or sums[-1])
    run_round(
        plan,
        ServerState.initial(toys.adapter()),
        clients(plan, 60),
        run="r",
        number=1,
        rng=sources(1),
        record=lambda phase, name, way, data: seen.append((name, data)) if way == "answer" else None,
    )
    return sums[0]._session, seen


@ALL
def test_a_clients_messages_hold_what_the_allow_list_names_and_no_count(changes, monkeypatch):
    plan = toys.plan(**changes)
    session, seen = answers(plan, monkeypatch)

    kinds = {Kind.ADVERT, Kind.SHARES, Kind.MASKED, Kind.AGREEMENT, Kind.REVEAL}
    assert {message[5] for _, message in seen} == kinds
    assert {name for name, _ in seen} == set(plan.cohort)
    assert not [(name, found) for name, message in seen if (found := unlisted(plan, name, message, session))]


@pytest.mark.parametrize("place", ["payload", "envelope"])
def test_a_count_added_to_a_message_is_found_and_refused(place, monkeypatch):
    plan = toys.plan()
    session, seen = answers(plan, monkeypatch)
    name, message = next((name, data) for name, data in seen if data[5] == Kind.ADVERT)
    numbers, (context, payload, signature), (record,) = opened(message)
    counted = {
        "payload": encode(numbers, [context, encode([], [record, (60).to_bytes(2, "big")]), signature]),
        "envelope": encode([*numbers, 60], [context, payload, signature]),
    }[place]
    changed = message[:6] + len(counted).to_bytes(4, "big") + counted

    with pytest.raises(Malformed):
        unlisted(plan, name, changed, session)
    with pytest.raises(ProtocolError):
        session.read(Kind.ADVERT, changed.ljust(len(message), b"\0"), sender=numbers[0], receiver=numbers[1])


def test_a_client_of_a_plain_sum_sends_its_vector_and_nothing_else():
    plan = toys.plan(secure="plain")
    sizes = {len(message) for _, _, way, message in plain_messages(plan) if way == "answer"}

    assert sizes == {packed_size(plan.dim, plan.bits)}


def plain_messages(plan):
    seen = []
    run_round(
        plan,
        ServerState.initial(toys.adapter()),
        clients(plan, 60),
        run="r",
        number=1,
        rng=sources(1),
        record=lambda *message: seen.append(message),
    )
    return seen
