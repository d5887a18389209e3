"""The random graph is as large as its failure probabilities demand, and follows from the advertised keys."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.aggregation.graph import Graph
from securefed.aggregation.members import Members
from securefed.aggregation.topology import Topology, choose, complete, is_safe, sparse
from securefed.errors import ConfigError


def tail(population: int, marked: int, drawn: int, least: int) -> Fraction:
    """The probability that at least ``least`` marked ones are drawn, exactly."""
    ways = sum(
        math.comb(marked, count) * math.comb(population - marked, drawn - count)
        for count in range(max(least, 0), min(marked, drawn) + 1)
    )
    return Fraction(ways, math.comb(population, drawn))


def privacy_failure(found: Topology, clients: int, threshold: int, corrupt: int) -> Fraction:
    """Union bound over clients, the ring and the witnesses, by exact arithmetic."""
    both = tail(threshold, corrupt, found.holders, 2 * found.share_threshold - found.holders)
    split = tail(threshold, corrupt, found.witnesses, 2 * found.witness_threshold - found.witnesses)
    run, away = found.degree // 2, found.holders - found.share_threshold
    cut = tail(threshold, corrupt, run, run - away) if 2 * run <= clients - threshold + corrupt else Fraction(0)
    return clients * both + split + Fraction(clients**2, 2) * cut**2


@pytest.mark.parametrize(
    ("clients", "threshold", "corruption"), [(200, 180, 0.1), (1000, 900, 0.1), (1000, 950, 0.05), (3000, 2700, 0.2)]
)
def test_the_graph_fails_as_rarely_as_it_says_and_is_no_larger_than_it_must(clients, threshold, corruption):
    found = sparse(clients, threshold, corruption=corruption)
    corrupt, gone = math.ceil(corruption * clients), clients - threshold

    assert privacy_failure(found, clients, threshold, corrupt) <= Fraction(1, 2**40)
    aborted = clients * tail(clients, gone, found.holders, found.holders - found.share_threshold + 1)
    aborted += tail(clients, gone, found.witnesses, found.witnesses - found.witness_threshold + 1)
    assert aborted <= Fraction(1, 2**20)
    weaker = Topology(
        degree=found.degree,
        share_threshold=found.share_threshold - 1,
        witnesses=found.witnesses,
        witness_threshold=found.witness_threshold,
    )
    assert is_safe(found, clients=clients, threshold=threshold, corruption=corruption)
    assert not is_safe(weaker, clients=clients, threshold=threshold, corruption=corruption)


def cuts(topology: Topology, clients: int, threshold: int, corrupt: int, random: np.random.Generator) -> bool:
    """Tell whether a server that sees the circle can part it: two runs of seats, of which it sends the honest away."""
    circle, run = np.zeros(clients, dtype=int), topology.degree // 2
    circle[random.choice(clients, corrupt, replace=False)] = 1
    honest = np.convolve(np.concatenate([circle, circle[: run - 1]]) == 0, np.ones(run, dtype=int), mode="valid")
    [weak] = np.nonzero(honest <= topology.holders - topology.share_threshold)
    one, other = np.meshgrid(weak, weak)
    apart = (other - one) % clients
    disjoint = (apart >= run) & (apart <= clients - run)
    return bool((disjoint & (honest[one] + honest[other] <= clients - threshold)).any())


@pytest.mark.parametrize(("degree", "share_threshold", "bits"), [(44, 32, 3), (46, 33, 2)])
def test_a_server_that_chooses_who_leaves_parts_the_circle_as_rarely_as_it_says(degree, share_threshold, bits):
    """A bound for clients that leave by chance would promise 40 bits here."""
    topology = Topology(degree=degree, share_threshold=share_threshold, witnesses=76, witness_threshold=54)
    cohort = {"clients": 1000, "threshold": 900, "corruption": 0.1}
    random = np.random.default_rng(0)
    parted = sum(cuts(topology, 1000, 900, 100, random) for _ in range(10_000)) / 10_000

    assert is_safe(topology, **cohort, privacy_bits=bits)
    assert not is_safe(topology, **cohort, privacy_bits=bits + 1)
    assert 0 < parted < 2**-bits


@pytest.mark.parametrize(
    ("clients", "before", "bits", "now"),
    [
        (500, Topology(degree=86, share_threshold=61, witnesses=69, witness_threshold=49), 25, 98),
        (1_000, Topology(degree=102, share_threshold=72, witnesses=76, witness_threshold=54), 27, 114),
        (3_000, Topology(degree=120, share_threshold=85, witnesses=83, witness_threshold=59), 31, 130),
        (10_000, Topology(degree=132, share_threshold=93, witnesses=86, witness_threshold=61), 30, 144),
    ],
)
def test_graphs_that_were_counted_for_leaving_by_chance_have_the_bits_of_decision_9(clients, before, bits, now):
    cohort = {"clients": clients, "threshold": clients - clients // 10, "corruption": 0.1}

    assert [is_safe(before, **cohort, privacy_bits=each) for each in (bits, bits + 1)] == [True, False]
    assert choose(clients, clients - clients // 10).degree == now


def test_degree_grows_like_the_logarithm():
    """Ten times the clients add no more neighbours than the ten times before them did."""
    one, two, three = (sparse(clients, clients - clients // 10).degree for clients in (1_000, 10_000, 100_000))

    assert 0 < three - two <= two - one < one / 3


def test_small_cohorts_are_complete():
    assert choose(128, 86) == complete(128, 86)
    assert choose(129, 117).degree < 128


@pytest.mark.parametrize(("clients", "threshold", "corruption"), [(200, 110, 0.4), (1000, 600, 0.33), (150, 0, 0.1)])
def test_impossible_demands_are_refused(clients, threshold, corruption):
    with pytest.raises(ConfigError):
        sparse(clients, threshold, corruption=corruption)


@pytest.mark.parametrize(("share", "witness"), [(3, 5), (5, 3), (8, 5), (5, 8)])
def test_a_threshold_of_half_or_more_than_all_is_refused(share, witness):
    with pytest.raises(ConfigError, match="threshold"):
        Topology(degree=6, share_threshold=share, witnesses=7, witness_threshold=witness)


@settings(max_examples=30, deadline=None)
@given(clients=st.integers(20, 80), seed=st.binary(min_size=32, max_size=32), data=st.data())
def test_neighbourhood_is_mutual_regular_and_among_members(clients, seed, data):
    places = data.draw(st.sets(st.integers(0, clients - 1), min_size=12))
    topology = Topology(degree=6, share_threshold=5, witnesses=9, witness_threshold=6)
    graph = Graph(topology, Members.of(places, clients), seed)
    holders = {place: set(graph.holders(place)) for place in places}

    assert all(len(around) == 7 and place in around and around <= places for place, around in holders.items())
    assert all(place in holders[other] for place, around in holders.items() for other in around)
    assert len(graph.witnesses) == 9
    assert graph.witnesses <= places


def test_another_key_gives_another_graph():
    topology = sparse(200, 180)
    one, other = (Graph(topology, Members.everybody(200), bytes([seed]) * 32) for seed in (1, 2))

    assert one.witnesses != other.witnesses
    assert sum(one.holders(place) == other.holders(place) for place in range(200)) == 0
