"""Batches: what is used is what is charged, once; samples are what their events say."""

import numpy as np
import pytest

from securefed import rng
from securefed.errors import BudgetExceeded, ConfigError
from securefed.privacy import accounting
from securefed.privacy.clipping import Adjacency
from securefed.privacy.events import Sampling
from securefed.privacy.sampling import FullBatch, PartBatches, PoissonBatches
from securefed.privacy.shares import SkellamShares, SumOfShares

RECORDS = 300


def event(kind=SumOfShares, **changes):
    values = {
        "sensitivity": 100.0,
        "share_stddev": 400.0,
        "shares": 4,
        "max_dropouts": 0,
        "max_colluders": 0,
        "dim": 10,
        "unit": "record",
        "adjacency": Adjacency.ADD_OR_REMOVE_ONE,
    }
    return kind(**values | changes)


def draws(sampler, rounds, records=RECORDS, source=None):
    source = source or rng.seeded(1)
    inside = np.zeros((rounds, records), bool)
    for number in range(1, rounds + 1):
        inside[number - 1, sampler.draw(records, number=number, rng=source).take(lambda _: None)] = True
    return inside


def test_a_batch_is_charged_before_it_is_handed_out():
    charged = []
    batch = PoissonBatches(event(), 0.25).draw(RECORDS, number=1, rng=rng.seeded(1))
    batch.take(charged.append)

    assert charged == [batch.event]
    assert charged[0].sampling.rate == 0.25


def test_a_refused_batch_is_not_handed_out_and_not_again():
    def refuse(_):
        raise BudgetExceeded(spent=1, asked=2, budget=1, delta=1e-5)

    batch = FullBatch(event()).draw(RECORDS, number=1, rng=rng.seeded(1))
    with pytest.raises(BudgetExceeded):
        batch.take(refuse)
    with pytest.raises(ConfigError, match="used before"):
        batch.take(lambda _: None)


def test_a_batch_is_used_once():
    batch = FullBatch(event()).draw(RECORDS, number=1, rng=rng.seeded(1))
    batch.take(lambda _: None)

    with pytest.raises(ConfigError, match="used before"):
        batch.take(lambda _: None)


def test_full_batches_hold_everybody():
    assert draws(FullBatch(event()), 3).all()


@pytest.mark.parametrize("rate", [1 / 93, 0.1, 0.5])
def test_poisson_batches_are_independent_coins_of_the_stated_rate(rate):
    """The size varies as a binomial's, no two rounds or records are tied, nobody is once in every pass."""
    rounds = 4000
    inside = draws(PoissonBatches(event(), rate), rounds)
    total = inside.sum()
    sizes = inside.sum(axis=1)

    assert abs(total - rate * inside.size) < 4 * np.sqrt(rate * (1 - rate) * inside.size)
    assert abs(sizes.var() / (RECORDS * rate * (1 - rate)) - 1) < 5 * np.sqrt(2 / rounds)
    for both in (inside[:, ::2] & inside[:, 1::2], inside[::2] & inside[1::2]):
        assert abs(both.sum() - rate**2 * both.size) < 4 * rate * np.sqrt(both.size)


def test_a_fixed_batch_size_would_fail_the_test_of_poisson_batches():
    generator = np.random.default_rng(1)
    sizes = [len(generator.choice(RECORDS, 30, replace=False)) for _ in range(4000)]

    assert abs(np.var(sizes) / (RECORDS * 0.1 * 0.9) - 1) > 5 * np.sqrt(2 / 4000)


@pytest.mark.parametrize("records", [1, 92, 93, 105, 1999])
@pytest.mark.parametrize("rate", [1 / 93, 1 / 3, 0.999])
def test_the_rate_of_sampler_event_and_accountant_is_one_number_whatever_the_records(records, rate):
    batch = PoissonBatches(event(), rate).draw(records, number=1, rng=rng.seeded(1))

    assert batch.event.sampling.rate == rate
    assert accounting.gaussians_of({batch.event: 1}, "server").sampled == {
        (event().noise_multiplier("server"), rate): 1
    }


def test_an_empty_batch_is_a_batch():
    taken = PoissonBatches(event(), 1e-9).draw(5, number=1, rng=rng.seeded(1)).take(lambda _: None)

    assert taken.shape == (0,)


def test_one_record_more_leaves_everybody_else_in_their_part():
    sampler = PartBatches(event(), 4, "run", shuffled=False)
    other = PartBatches(event(), 4, "run", shuffled=False)
    fewer = draws(sampler, 4, RECORDS, rng.seeded(2))
    more = draws(other, 4, RECORDS + 1, rng.seeded(2))

    assert (fewer == more[:, :RECORDS]).all()


@pytest.mark.parametrize("shuffled", [False, True])
def test_parts_hold_every_record_once_a_pass(shuffled):
    inside = draws(PartBatches(event(), 5, "run", shuffled=shuffled), 10)

    assert (inside[:5].sum(axis=0) == 1).all()
    assert (inside[5:].sum(axis=0) == 1).all()
    assert (inside[:5] == inside[5:]).all() != shuffled


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_shuffled_order_is_accounted_for_without_amplification(shuffled):
    """A pass over all parts costs each record one full-batch round; as if Poisson it would cost far less."""
    sampler = PartBatches(event(), 5, "run", shuffled=shuffled)
    source = rng.seeded(3)
    events = [sampler.draw(RECORDS, number=number, rng=source).event for number in range(1, 16)]
    spent = accounting.epsilon(events, delta=1e-5, view="server")
    as_poisson = accounting.epsilon(
        [PoissonBatches(event(), 0.2).draw(9, number=1, rng=source).event] * 15, delta=1e-5, view="server"
    )

    assert spent == pytest.approx(accounting.epsilon([event()] * 3, delta=1e-5, view="server"), rel=1e-9)
    assert spent > 1.5 * as_poisson


@pytest.mark.parametrize("kind", [SumOfShares, SkellamShares])
def test_the_part_that_was_asked_most_is_what_counts(kind):
    """Three rounds about one part, one about the other: as three full batches."""
    parts = [Sampling(partition="run", part=part) for part in (0, 1, 0, 0)]
    events = [event(kind, sampling=sampling) for sampling in parts]
    three = accounting.epsilon([event(kind)] * 3, delta=1e-5, view="server")

    assert accounting.epsilon(events, delta=1e-5, view="server") == pytest.approx(three, rel=1e-9)
    assert accounting.epsilon(events[:2], delta=1e-5, view="server") < three


def test_parts_of_another_run_are_other_parts():
    one, other = (
        [
            PartBatches(event(), 2, name, shuffled=False).draw(9, number=number, rng=rng.seeded(1)).event
            for number in (1, 2)
        ]
        for name in ("one", "other")
    )

    assert accounting.epsilon(one + other, delta=1e-5, view="server") == pytest.approx(
        accounting.epsilon([event()] * 2, delta=1e-5, view="server"), rel=1e-9
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: PoissonBatches(event(), 0.0),
        lambda: PoissonBatches(event(SkellamShares), 0.5),
        lambda: PoissonBatches(event(adjacency=Adjacency.REPLACE_ONE), 0.5),
        lambda: PartBatches(event(adjacency=Adjacency.REPLACE_ONE), 2, "run", shuffled=True),
        lambda: PartBatches(event(), 1, "run", shuffled=True),
        lambda: PartBatches(event(), 2, "", shuffled=True),
    ],
)
def test_samples_without_a_proof_are_refused(make):
    with pytest.raises(ConfigError):
        make()
