"""The ring encoding: exact sums, refused overflow, declared sensitivity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from securefed.encoding import FixedPoint
from securefed.errors import CapacityError, ConfigError

reals = st.floats(-1e6, 1e6)
vectors = arrays(np.float64, st.integers(1, 40), elements=reals)


def fixed_point(**changes):
    return FixedPoint(**{"bits": 32, "step": 2.0**-10, "bound": 1000.0, "summands": 8, "noise_stddev": 100.0} | changes)


@given(vectors, st.sampled_from([16, 20, 32, 64]))
def test_decode_inverts_encode_up_to_clamping_and_half_a_step(vector, bits):
    encoding = FixedPoint(bits=bits, step=0.25, bound=100.0, summands=8)

    decoded = encoding.decode(encoding.encode(vector))

    assert np.abs(decoded - np.clip(vector, -100, 100)).max() <= 0.125


@given(st.lists(arrays(np.float64, 7, elements=reals), min_size=1, max_size=8))
def test_the_sum_in_the_ring_is_the_sum_of_the_integers(summands):
    encoding = fixed_point()
    total = np.zeros(7, np.uint64)
    for vector in summands:
        total = (total + encoding.encode(vector)) & encoding.modulus_mask

    expected = sum(encoding.to_integers(vector) for vector in summands)
    assert (encoding.to_signed(total) == expected).all()


def test_the_largest_sum_and_its_noise_fit_at_the_very_edge_of_the_ring():
    encoding = FixedPoint(bits=16, step=1.0, bound=4095.0, summands=8)
    vectors = [np.full(3, sign * 1e9) for sign in (1, -1)]

    for vector in vectors:
        total = sum((encoding.encode(vector) for _ in range(8)), np.zeros(3, np.uint64)) & encoding.modulus_mask
        assert (encoding.to_signed(total) == np.sign(vector) * 8 * 4095).all()
    with pytest.raises(CapacityError, match="can reach 32768"):
        FixedPoint(bits=16, step=1.0, bound=4096.0, summands=8)


@given(vectors, st.data())
def test_neighbours_move_by_at_most_the_declared_sensitivity_after_rounding(vector, data):
    encoding = fixed_point(step=0.5, bound=1e7, bits=64)
    direction = data.draw(arrays(np.float64, len(vector), elements=st.floats(-1, 1)))
    clip_norm = data.draw(st.floats(0.01, 50))
    moved = vector + clip_norm * direction / max(1.0, float(np.linalg.norm(direction)))

    distance = np.linalg.norm(encoding.to_integers(vector) - encoding.to_integers(moved))

    assert distance <= encoding.sensitivity(clip_norm=clip_norm, dim=len(vector))


def test_the_declared_sensitivity_is_not_met_without_the_rounding_term():
    encoding = fixed_point(step=1.0)
    left, right = np.full(100, 0.49), np.full(100, 0.51)

    moved = np.linalg.norm(encoding.to_integers(left) - encoding.to_integers(right))

    assert moved > np.linalg.norm(left - right) * (1 + 2.0**-20)
    assert moved <= encoding.sensitivity(clip_norm=float(np.linalg.norm(left - right)), dim=100)


@pytest.mark.parametrize(
    "changes",
    [
        {"bits": 1},
        {"bits": 65},
        {"step": 0.0},
        {"step": float("nan")},
        {"bound": -1.0},
        {"bound": float("inf")},
        {"summands": 0},
        {"noise_stddev": -1.0},
        {"noise_stddev": 1e9},
        {"step": 1e-20},
        {"summands": 10**6},
    ],
    ids=str,
)
def test_an_encoding_that_could_overflow_cannot_be_built(changes):
    with pytest.raises(CapacityError):
        fixed_point(**changes)


@pytest.mark.parametrize("bad", [np.array([np.nan]), np.array([np.inf, 0.0]), np.zeros((2, 2)), np.float64(1.0)[()]])
def test_what_is_not_a_finite_vector_is_refused(bad):
    with pytest.raises(ConfigError):
        fixed_point().to_integers(np.asarray(bad))


def test_an_empty_vector_stays_empty():
    assert fixed_point().encode(np.zeros(0)).shape == (0,)
