"""Encryptions that are not secure, or not exact, cannot be built."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from securefed.aggregation import handover
from securefed.aggregation.encryption import SECURE_BITS, choose
from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.identity import Federation
from securefed.aggregation.seal import PublicKey, SecretKey, ring
from securefed.errors import CapacityError, ConfigError
from securefed.rng import secure
from tests.aggregation.cohorts import parameters

GOOD = choose("ckks", bits=20, summand=1000, weight=10, dim=1000)


def test_the_table_is_that_of_the_standard():
    assert SECURE_BITS == {2048: 54, 4096: 109, 8192: 218}


@pytest.mark.parametrize("changes", [{"special_bits": 60, "data_bits": 60}, {"degree": 1024}, {"degree": 32768}])
def test_less_than_128_bits_of_security_are_refused(changes):
    with pytest.raises(ConfigError, match="security"):
        dataclasses.replace(GOOD, **changes)


@pytest.mark.parametrize(
    "changes", [{"scheme": "paillier"}, {"data_primes": 2}, {"data_bits": 61}, {"special_bits": 10}, {"plain_bits": 0}]
)
def test_what_is_no_encryption_is_refused(changes):
    with pytest.raises(ConfigError):
        dataclasses.replace(GOOD, **changes)


def test_noise_without_its_margin_is_refused():
    with pytest.raises(CapacityError, match="margin"):
        dataclasses.replace(GOOD, plain_bits=GOOD.plain_bits - 1)


def test_lanes_that_do_not_fit_are_refused():
    more = dataclasses.replace(GOOD.lanes, lanes=GOOD.lanes.lanes + 2)
    with pytest.raises(CapacityError, match="lanes"):
        dataclasses.replace(GOOD, lanes=more)


def test_a_plan_that_no_encryption_adds_is_refused_when_it_is_made():
    with pytest.raises(CapacityError, match="exactly"):
        HomomorphicSum(parameters(3, bits=64), weights={"client-000": 2**50})


@pytest.mark.parametrize("weights", [{"client-000": 0}, {"client-000": -1}, {"stranger": 2}])
def test_weights_are_positive_and_of_the_cohort(weights):
    with pytest.raises(ConfigError):
        HomomorphicSum(parameters(3), weights=weights)


def test_a_cohort_of_strangers_is_refused():
    with pytest.raises(ConfigError, match="identity"):
        HomomorphicSum(parameters(4), Federation.throwaway(["client-000", "client-001"], rng=secure()))


def test_weights_and_inner_masks_exclude_each_other():
    with pytest.raises(ConfigError, match="cancel"):
        HomomorphicSum(parameters(3), weights={"client-000": 2}, inner_mask=True)


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ConfigError, match="paillier"):
        HomomorphicSum(parameters(3), scheme="paillier")


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_there_is_one_special_prime_and_nothing_to_multiply_with(scheme):
    encryption = choose(scheme, bits=20, summand=1000, weight=10, dim=1000)
    here = ring(encryption)
    assert here.data.shape[0] == encryption.data_primes
    assert here.keys.shape[0] == encryption.data_primes + 1


def test_the_goals_for_bytes_are_met():
    """19-bit sums of 20 clients, a million parameters: at most 16 bytes each under CKKS, 9 under BFV."""
    for scheme, most in (("ckks", 16), ("bfv", 9)):
        encryption = choose(scheme, bits=20, summand=2**18 // 20, weight=20, dim=10**6)
        assert encryption.size(10**6) / 10**6 <= most


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_numbers_are_the_same_read_at_once_and_one_by_one(scheme, monkeypatch):
    encryption = choose(scheme, bits=20, summand=1000, weight=10, dim=1000)
    array = SecretKey(ring(encryption))._public.data().dyn_array()
    assert (handover.numbers(array) == handover.one_by_one(array)).all()

    monkeypatch.setattr(handover, "IN_MEMORY", False)
    key = SecretKey(ring(encryption))
    slots = np.arange(encryption.degree) % encryption.lanes.largest
    assert (key.open(PublicKey(ring(encryption), key.public()).encrypt(slots)) == slots).all()
