"""Scales and ticks: values keep their order, stay in the picture, and ticks are round."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefed.reports.plane import Scale, covering, power_of_ten, powers, round_values

finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(values=st.lists(finite, min_size=2, max_size=20), zero=st.booleans())
def test_places_keep_the_order_of_values_and_stay_in_the_picture(values, zero):
    values = [abs(value) for value in values] if zero else values
    scale = Scale(*covering(values, zero=zero), 40, 340)
    places = [scale.place(value) for value in sorted(values)]

    assert places == sorted(places)
    assert all(40 <= place <= 340 for place in places)


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_within(low, width):
    high = low + width
    ticks = round_values(low, high)

    assert 1 <= len(ticks) <= 6
    assert all(low - 1e-6 * width <= tick <= high + 1e-6 * width for tick in ticks)


def test_a_logarithmic_scale_has_powers_of_ten_at_equal_distances():
    scale = Scale(1e-8, 1.0, 0, 80, is_log=True)

    assert [scale.place(10.0**-n) for n in (8, 6, 4, 2, 0)] == [0, 20, 40, 60, 80]
    assert powers(1e-8, 1.0) == [0, -2, -4, -6, -8]
    assert [power_of_ten(n) for n in (0, -12, 3)] == ["1", "10⁻¹²", "10³"]


def test_what_is_too_small_for_a_logarithm_lies_at_the_edge():
    assert Scale(1e-8, 1.0, 0, 80, is_log=True).place(0.0) == 0


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0])
def test_equal_values_have_room_around_them(value):
    low, high = covering([value, value], zero=False)

    assert low < value < high
    assert math.isfinite(high - low)
