"""Noise stays within its proved bound, and the bound within its margin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenseal import sealapi

from securefed.aggregation.encryption import SECURE_BITS, choose
from securefed.aggregation.lanes import Lanes
from securefed.aggregation.noise import MARGIN, after, fresh
from securefed.aggregation.refusals import InconsistentSum
from securefed.aggregation.seal import PublicKey, SecretKey, ring

PLANNED = 1000


def residual(key: SecretKey, public: PublicKey, weight: int, encryption) -> tuple[int, np.ndarray]:
    """The largest noise of a planned sum at its extreme values, and the sum's slots."""
    here = ring(encryption)
    total, slots = here.data.zeros(2), np.full(encryption.degree, encryption.lanes.largest // weight, dtype=np.int64)
    slots[::2] *= -1
    here.data.add_weighted(total, public.encrypt(slots), weight)
    opened = key.open(total)
    raw = key._polynomial(here.load(sealapi.Ciphertext, total))
    return int(np.abs(raw - (slots * weight << encryption.plain_bits)).max()), opened - slots * weight


def test_noise_at_the_planned_maximum_is_below_half_a_unit_with_the_margin():
    """One ciphertext taken 1000 times is the worst way to add: its noise adds up without cancelling."""
    encryption = choose("ckks", bits=20, summand=500, weight=PLANNED, dim=10_000)
    key = SecretKey(ring(encryption))
    noise, wrong = residual(key, PublicKey(ring(encryption), key.public()), PLANNED, encryption)

    assert not wrong.any()
    assert 0 < noise <= encryption.noise
    assert 2 * MARGIN * encryption.noise <= encryption.unit


def test_fresh_noise_is_measured_above_what_a_wrong_scale_would_allow():
    """The measured noise is real: it is far from zero, and a bound of a few units would be broken."""
    encryption = choose("ckks", bits=20, summand=500, weight=1, dim=10_000)
    key = SecretKey(ring(encryption))
    noise, _ = residual(key, PublicKey(ring(encryption), key.public()), 1, encryption)
    assert 20 < noise <= fresh(encryption.degree, encryption.special_bits)


def test_the_bound_counts_the_worst_of_key_coins_and_rounding():
    degree, special = 4096, 40
    rounding, products = (degree + 1) / 2, (2 * degree + 1) * 21 / 2 ** (special - 1)
    assert rounding + products <= fresh(degree, special) <= rounding + products + 1
    assert after(1000, degree, special, rounding=1) == 1000 * (fresh(degree, special) + 1)


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
@pytest.mark.parametrize("weight", [2, 10, 100, 1000])
def test_the_planned_maximum_of_extreme_slots_is_exact(scheme, weight):
    encryption = choose(scheme, bits=32, summand=2**15, weight=weight, dim=100_000)
    here = ring(encryption)
    key = SecretKey(here)
    public, total = PublicKey(here, key.public()), here.data.zeros(2)
    slots = np.where(np.arange(encryption.degree) % 2, -1, 1) * (encryption.lanes.largest // weight)
    here.data.add_weighted(total, public.encrypt(slots), weight)
    assert (key.open(total) == slots * weight).all()


def test_more_noise_than_planned_is_no_sum():
    encryption = choose("ckks", bits=20, summand=500, weight=10, dim=10_000)
    here = ring(encryption)
    key = SecretKey(here)
    ciphertext = PublicKey(here, key.public()).encrypt(np.zeros(encryption.degree, dtype=np.int64))
    ciphertext[0, 0, 5] = (ciphertext[0, 0, 5] + np.uint64(encryption.noise + fresh(4096, 40))) % np.uint64(here.prime)
    with pytest.raises(InconsistentSum):
        key.open(ciphertext)


@settings(max_examples=60, deadline=None)
@given(
    scheme=st.sampled_from(["ckks", "bfv"]),
    bits=st.integers(2, 64),
    weight=st.integers(2, 2_000),
    dim=st.integers(1, 10**7),
)
def test_whatever_is_chosen_is_secure_and_exact(scheme, bits, weight, dim):
    encryption = choose(scheme, bits=bits, summand=None, weight=weight, dim=dim)
    assert encryption.total_bits <= SECURE_BITS[encryption.degree]
    assert 2 * MARGIN * encryption.noise <= encryption.unit
    assert encryption.lanes.width * encryption.lanes.lanes <= 62
    assert 2 * encryption.lanes.reach < 2**encryption.lanes.width


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(2, 64),
    digits=st.integers(1, 4),
    lanes=st.integers(1, 4),
    clients=st.integers(1, 9),
    seed=st.integers(0, 2**32),
)
def test_sums_of_lanes_are_lanes_of_sums(bits, digits, lanes, clients, seed):
    layout = Lanes(bits=bits, summand=2 ** (bits - 1), weight=clients, digits=digits, lanes=lanes, slots=16)
    if layout.width * layout.lanes > 62:
        return
    generator = np.random.default_rng(seed)
    count = min(layout.coordinates, 11)
    vectors = [generator.integers(0, 2**bits, count, dtype=np.uint64, endpoint=False) for _ in range(clients)]
    total = layout.decode(sum(layout.encode(vector) for vector in vectors), count)
    expected = np.array([sum(map(int, column)) % 2**bits for column in zip(*vectors, strict=True)], dtype=np.uint64)
    assert (total == expected).all()
