"""Seeds are put together without making an attack look weaker than it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefed.errors import ConfigError
from securefed.threat_models.bounds import interval
from securefed.threat_models.game import Measured, rate
from securefed.threat_models.pooling import pooled

counts = st.integers(1, 50).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(st.lists(counts, min_size=1, max_size=5))
def test_rates_are_added_up_trial_by_trial_and_have_one_exact_interval(found):
    all_of_them = pooled([rate(successes, trials, chance=0.5, bound=0.7) for successes, trials in found])
    successes, trials = (sum(each) for each in zip(*found, strict=True))

    assert all_of_them.value == successes / trials
    assert (all_of_them.low, all_of_them.high) == interval(successes, trials)
    assert (all_of_them.chance, all_of_them.bound, all_of_them.n) == (0.5, 0.7, trials)


def test_of_other_measures_the_median_is_taken():
    one = Measured(value=1.0, low=0.5, high=2.0, chance=0.0, bound=4.0, n=10, note="first")
    five = [replace(one, value=value, low=value - 0.5, note=f"{value}") for value in (3.0, 1.0, 9.0, 2.0, 2.5)]
    found = pooled(five)

    assert (found.value, found.low, found.high, found.n, found.bound) == (2.5, 2.0, 2.0, 50, 4.0)
    assert found.note == "first seed: 3.0"


def test_nothing_played_is_nothing_found():
    with pytest.raises(ConfigError, match="no seed was played"):
        pooled([])
