"""The gate on sums of groups, and what is made of their means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefed.aggregation.robust import Gate, combined
from securefed.errors import ConfigError, ProtocolError


@given(
    good=st.lists(st.floats(-1, 1), min_size=3, max_size=8),
    bad=st.lists(st.floats(-1e9, 1e9), min_size=0, max_size=7),
    rule=st.sampled_from(["median", "trimmed mean"]),
)
def test_the_result_lies_between_good_means_whatever_the_bad_ones_are(good, bad, rule):
    bad = bad[: len(good) - 1]
    found = combined([np.array([value]) for value in (*bad, *good)], faulty=len(bad), rule=rule)

    assert min(good) - 1e-9 <= found[0] <= max(good) + 1e-9


def test_a_plain_mean_goes_where_one_bad_group_likes():
    means = [np.zeros(2)] * 4 + [np.full(2, 5e6)]

    assert combined(means, faulty=2, rule="mean")[0] == 1e6
    assert combined(means, faulty=2, rule="median")[0] == 0


def test_with_no_bad_group_the_trimmed_mean_is_the_mean():
    means = list(np.arange(12.0).reshape(4, 3))

    assert (combined(means, faulty=0, rule="trimmed mean") == np.mean(means, axis=0)).all()


def test_fewer_groups_than_the_bound_needs_are_an_error():
    with pytest.raises(ProtocolError, match="it takes 5"):
        combined([np.zeros(2)] * 4, faulty=2, rule="median")


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigError, match="choose one of median"):
        combined([np.zeros(2)], faulty=0, rule="krum")


def test_without_noise_the_gate_is_what_honest_vectors_add_up_to():
    gate = Gate(bound=2.0, stddev=0.0, dim=100)

    assert gate.largest(3) == 6.0
    assert gate.looseness(3) == 1.0
    assert gate.admits(np.array([6.0]), 3)
    assert not gate.admits(np.array([6.1]), 3)


def test_the_gate_lets_noise_pass_and_not_much_more():
    gate, rng = Gate(bound=1.0, stddev=2.0, dim=500), np.random.Generator(np.random.Philox(0))
    noise = rng.normal(size=(500, 500)) * 2.0 * math.sqrt(4)
    honest = noise + 4 / math.sqrt(500)

    assert all(gate.admits(each, 4) for each in honest)
    assert not any(gate.admits(1.4 * each, 4) for each in noise)
    assert gate.looseness(4) == gate.largest(4) / 4
