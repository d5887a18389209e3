"""Clipping factors: bounded, and zero for what is not finite."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefed.errors import ConfigError
from securefed.privacy.clipping import Adjacency, clip_factors


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=20), st.floats(1e-3, 1e3))
def test_no_contribution_is_longer_than_the_bound_and_short_ones_are_left_alone(norms, clip_norm):
    lengths = np.array(norms)
    factors = clip_factors(lengths, clip_norm=clip_norm)

    assert (factors * lengths <= clip_norm * (1 + 1e-12)).all()
    assert (factors[lengths <= clip_norm] == 1).all()


def test_what_is_not_finite_gets_no_weight():
    assert clip_factors(np.array([np.nan, np.inf, 2.0]), clip_norm=1.0).tolist() == [0.0, 0.0, 0.5]


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, np.nan, np.inf])
def test_a_bound_that_bounds_nothing_is_refused(clip_norm):
    with pytest.raises(ConfigError, match="clip_norm"):
        clip_factors(np.ones(1), clip_norm=clip_norm)


def test_replacing_a_record_moves_twice_as_far_as_adding_one():
    assert Adjacency.ADD_OR_REMOVE_ONE.multiple == 1
    assert Adjacency.REPLACE_ONE.multiple == 2
