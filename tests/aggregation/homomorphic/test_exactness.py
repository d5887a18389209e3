"""The encrypted sum is the plain sum, bit for bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.identity import Federation
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.plain import PlainSum
from securefed.errors import CapacityError, OutOfTurn, ThresholdError
from securefed.rng import secure, seeded
from tests.aggregation.cohorts import Run, added, parameters, vectors

SCHEMES = ("ckks", "bfv")


def pair(public, **options) -> HomomorphicSum:
    """An encrypted sum whose decryptor has no floor but that of two clients."""
    members = Federation.throwaway(public.cohort, rng=secure())
    decryptor = Decryptor.throwaway(members.roster, rng=secure(), minimum_cohort=2)
    return HomomorphicSum(public, members, decryptor=decryptor, **options)


@settings(max_examples=25, deadline=None)
@given(
    scheme=st.sampled_from(SCHEMES),
    clients=st.integers(2, 7),
    bits=st.integers(2, 64),
    dim=st.integers(1, 50),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_encrypted_and_plain_sums_are_bit_equal_whoever_takes_part(scheme, clients, bits, dim, *, seed, data):
    public = parameters(clients, dim=dim, bits=bits, threshold=2)
    leavers = data.draw(st.lists(st.sampled_from(public.cohort), unique=True, max_size=clients - 2))
    run = Run(pair(public, scheme=scheme), vectors(public, seed), frozenset(("encrypt", name) for name in leavers))
    total = run.total()

    assert run.server.survivors == tuple(name for name in public.cohort if name not in leavers)
    assert (total == added(public, run.inputs, run.server.survivors)).all()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("bits", [2, 20, 32, 64])
@pytest.mark.parametrize("value", ["lowest", "highest", "all ones", "alternating"])
def test_extreme_values_are_exact_in_several_ciphertexts(scheme, bits, value):
    public = parameters(3, dim=9_001, bits=bits)
    patterns = {"lowest": (1 << (bits - 1),), "highest": ((1 << (bits - 1)) - 1,), "all ones": ((1 << bits) - 1,)}
    pattern = patterns.get(value, (1 << (bits - 1), (1 << (bits - 1)) - 1))
    inputs = dict.fromkeys(public.cohort, np.resize(np.array(pattern, dtype=np.uint64), public.dim))
    assert (Run(HomomorphicSum(public, scheme=scheme), inputs).total() == added(public, inputs, public.cohort)).all()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("clients", "dim"), [(2, 1_000), (10, 1_000), (100, 100), (1_000, 10)])
def test_cohorts_of_every_size_add_exactly_within_a_limit(scheme, clients, dim):
    limit = 2**19 - 1
    public = parameters(clients, dim=dim, bits=20, limit=limit)
    each = limit // clients
    inputs = {
        name: (seeded(0, name).generator().integers(-each, each + 1, dim)).astype(np.uint64) & public.modulus_mask
        for name in public.cohort
    }
    inputs[public.cohort[0]][:2] = np.array([each, 2**20 - each], dtype=np.uint64)
    run = Run(pair(public, scheme=scheme, summand=each), inputs)
    assert (run.total() == added(public, inputs, public.cohort)).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_million_coordinates_are_exact(scheme):
    public = parameters(3, dim=1_000_000, bits=16)
    inputs = vectors(public)
    total = Run(HomomorphicSum(public, scheme=scheme), inputs).total()
    assert (total == sum(inputs.values()) & public.modulus_mask).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_three_kinds_of_sum_agree(scheme):
    public, lost = parameters(6, dim=30, bits=24), "client-004"
    inputs = vectors(public)
    totals = [
        Run(kind, inputs, frozenset({(phase, lost)})).total()
        for kind, phase in (
            (PlainSum(public), "plain"),
            (MaskedSum(public), "mask"),
            (HomomorphicSum(public, scheme=scheme), "encrypt"),
            (HomomorphicSum(public, scheme=scheme, inner_mask=True), "mask"),
        )
    ]
    assert all((total == totals[0]).all() for total in totals)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_public_weights_multiply_vectors(scheme):
    public = parameters(4, dim=50, bits=32)
    weights = {"client-000": 7, "client-002": 1000}
    run = Run(HomomorphicSum(public, scheme=scheme, weights=weights), vectors(public))
    expected = sum(run.inputs[name] * np.uint64(weights.get(name, 1)) for name in public.cohort)
    assert (run.total() == expected & public.modulus_mask).all()


def test_late_clients_are_added_until_the_sum_is_closed():
    public = parameters(4, dim=10, threshold=3)
    scheme = HomomorphicSum(public)
    inputs, server = vectors(public), scheme.server()
    request = server.requests()[public.cohort[0]]
    answers = {name: scheme.client(name, inputs[name], rng=secure()).answer(request) for name in public.cohort}
    first, second, late, too_late = public.cohort

    server.take(late, answers[late])
    server.collect({first: answers[first], second: answers[second]})

    assert server.survivors == (first, second, late)
    assert (server.total() == added(public, inputs, server.survivors)).all()
    with pytest.raises(OutOfTurn):
        server.take(too_late, answers[too_late])


def test_below_the_threshold_nothing_is_decrypted():
    public = parameters(5, threshold=4)
    run = Run(
        HomomorphicSum(public), vectors(public), frozenset({("encrypt", "client-000"), ("encrypt", "client-001")})
    )
    with pytest.raises(ThresholdError):
        run.total()
    with pytest.raises(OutOfTurn):
        run.server.total()
    assert run.server.requests() == {}


def test_a_vector_beyond_the_planned_summand_is_not_sent():
    public = parameters(3, bits=32)
    scheme = HomomorphicSum(public, summand=1000)
    with pytest.raises(CapacityError, match="above 1000"):
        scheme.client("client-000", np.full(public.dim, 1001, dtype=np.uint64), rng=secure())


def test_every_frame_has_one_size():
    """zeros, ones and noise: whoever watches the wire sees the same lengths."""
    public = parameters(3, dim=5_000, bits=20)
    sizes = set()
    for value in (0, 1, 2**20 - 1):
        run = Run(HomomorphicSum(public), dict.fromkeys(public.cohort, np.full(public.dim, value, dtype=np.uint64)))
        run.total()
        sizes |= {len(data) for data in run.sent("encrypt", "answer").values()}
    assert len(sizes) == 1


def test_two_encryptions_of_one_vector_differ():
    public = parameters(3)
    scheme = HomomorphicSum(public)
    request = scheme.server().requests()["client-000"]
    vector = np.zeros(public.dim, dtype=np.uint64)
    one, other = (scheme.client("client-000", vector, rng=secure()).answer(request) for _ in range(2))
    assert one != other


def test_another_weight_is_another_context():
    public = parameters(3)
    members = Federation.throwaway(public.cohort, rng=secure())
    decryptor = Decryptor.throwaway(members.roster, rng=secure())
    contexts = {
        HomomorphicSum(public, members, decryptor=decryptor, weights=weights).session.context
        for weights in ({}, {"client-000": 2}, {"client-001": 2})
    }
    others = {
        HomomorphicSum(changed, members, decryptor=decryptor).session.context
        for changed in (
            dataclasses.replace(public, threshold=2),
            dataclasses.replace(public, context=dataclasses.replace(public.context, model=bytes(31) + b"1")),
        )
    }
    assert len(contexts | others) == 5
