"""The masked sum is the plain sum, and the server sees nothing else."""

from __future__ import annotations

import gc
import itertools
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.aggregation.base import secure_sum
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.packing import pack, to_ring, unpack, word
from securefed.aggregation.parameters import Parameters
from securefed.aggregation.wire import Kind, decode
from securefed.errors import CapacityError, ConfigError, OutOfTurn, ThresholdError
from securefed.rng import secure
from tests.aggregation.cohorts import PHASES, added, masked_run, parameters, plain_run, vectors


@st.composite
def sums(draw: st.DrawFn) -> tuple[Parameters, int, frozenset[tuple[str, str]]]:
    clients = draw(st.integers(3, 9))
    public = parameters(clients, dim=draw(st.integers(1, 40)), bits=draw(st.integers(2, 64)))
    leavers = draw(st.lists(st.sampled_from(public.cohort), unique=True, max_size=clients - public.threshold))
    lost = frozenset((draw(st.sampled_from(PHASES)), name) for name in leavers)
    return public, draw(st.integers(0, 2**32)), lost


@settings(max_examples=60, deadline=None)
@given(case=sums())
def test_masked_and_plain_sums_are_bit_equal(case):
    """The first guarantee: whoever drops out at whatever phase, the total is that of the survivors."""
    public, seed, lost = case
    run = masked_run(public, vectors(public, seed), lost=lost)
    total = run.total()

    gone = {name for phase, name in lost if phase in PHASES[:3]}
    assert run.server.survivors == tuple(name for name in public.cohort if name not in gone)
    assert (total == added(public, run.inputs, run.server.survivors)).all()
    plain = plain_run(public, run.inputs, lost=frozenset(("plain", name) for name in gone))
    assert (total == plain.total()).all()


@pytest.mark.parametrize(("dim", "bits"), [(65_541, 32), (200_003, 20), (20_000, 64), (140_000, 8), (1_000_000, 32)])
def test_long_vectors_are_masked_in_pieces_and_still_exact(dim, bits):
    """Pieces of 128 KiB: lengths at, around and far beyond their borders, for words of every size."""
    public = parameters(4, dim=dim, bits=bits)
    run = masked_run(public, lost=frozenset({("mask", public.cohort[2])}))
    total = run.total()

    assert run.server.survivors == public.cohort[:2] + public.cohort[3:]
    expected = sum(run.inputs[name] for name in run.server.survivors) & public.modulus_mask
    assert (total == expected).all()


@pytest.mark.parametrize(
    ("clients", "bits", "most"), [(11, 32, 4.001), (100, 32, 4.001), (150, 20, 2.501), (5, 16, 2.001)]
)
def test_a_masked_vector_travels_in_its_own_bits_and_a_few_hundred_bytes(clients, bits, most):
    public = parameters(clients, dim=1_000_000, bits=bits)

    assert MaskedSum(public)._session.frame_size(Kind.MASKED) <= most * public.dim


@pytest.mark.parametrize("phase", PHASES)
def test_below_the_threshold_nothing_is_revealed(phase):
    public = parameters(7)
    lost = frozenset((phase, name) for name in public.cohort[: 7 - public.threshold + 1])
    run = masked_run(public, lost=lost)

    with pytest.raises(ThresholdError) as caught:
        run.total()

    assert (caught.value.survivors, caught.value.threshold) == (public.threshold - 1, public.threshold)
    with pytest.raises(OutOfTurn):
        run.server.total()
    assert run.server.requests() == {}


def reachable(root: object) -> list[object]:
    """Every object that can be reached from one, except modules, classes and functions."""
    seen: dict[int, object] = {}
    todo = [root]
    while todo:
        found = todo.pop()
        code = types.ModuleType | type | types.FunctionType | types.BuiltinFunctionType | types.CodeType
        if id(found) in seen or isinstance(found, code):
            continue
        seen[id(found)] = found
        todo += gc.get_referents(found)
    return list(seen.values())


def as_bytes(found: object) -> bytes:
    if isinstance(found, np.ndarray) and found.dtype != object:
        return found.tobytes()
    return bytes(found) if isinstance(found, bytes | bytearray | memoryview) else b""


@pytest.mark.parametrize("bits", [20, 32, 64])
@pytest.mark.parametrize("scheme", ["masked", "plain"])
def test_neither_server_nor_wire_holds_a_clients_vector(scheme, bits):
    """In every layout that the package knows; the plain sum is the control: there the search finds the vectors."""
    public = parameters(5, dim=64, bits=bits)
    run = (masked_run if scheme == "masked" else plain_run)(public)
    snapshots: list[bytes] = []
    collect = run.server.collect

    def watched(answers):
        collect(answers)
        snapshots.extend(filter(None, map(as_bytes, reachable(run.server))))

    run.server.collect = watched
    run.total()

    haystack = [*snapshots, *(data for *_, data in run.messages)]
    found = False
    for vector in run.inputs.values():
        layouts = (vector.tobytes(), vector.astype(word(bits)).tobytes(), bytes(pack(vector, bits)))
        found |= any(needle in data for needle in layouts for data in haystack)
    assert found == (scheme == "plain")
    assert any(len(data) >= 8 * public.dim for data in snapshots)


def wire_vectors(run):
    """The masked vectors as they travel, by client."""
    session = run.scheme._session
    found = {}
    for name, data in run.sent("mask", "answer").items():
        place = run.scheme.parameters.index(name)
        payload, _ = session.read(Kind.MASKED, data, sender=place, receiver=session.server)
        _, (packed,) = decode(payload, numbers=0, strings=1)
        found[name] = to_ring(unpack(packed, dim=session.length, bits=session.parameters.bits), session.parameters.bits)
    return found


def chi_square(values: np.ndarray) -> float:
    counts = np.bincount(values, minlength=256)
    expected = len(values) / 256
    return float(((counts - expected) ** 2 / expected).sum())


def test_masked_vectors_are_uniform_bytes():
    """Zero vectors go in, so what is on the wire is the masks: 255 degrees of freedom, bound at one in a million."""
    public = parameters(5, dim=20_000)
    run = masked_run(public, {name: np.zeros(public.dim, dtype=np.uint64) for name in public.cohort})
    run.total()

    for vector in wire_vectors(run).values():
        statistic = chi_square(vector.astype("<u4").view(np.uint8))
        assert 150 < statistic < 380
    assert chi_square((np.arange(80_000) % 256).astype(np.uint8)) < 150
    assert chi_square(np.full(80_000, 7, dtype=np.uint8)) > 380


def test_no_two_rounds_and_no_two_clients_share_masks():
    public = parameters(4, dim=2_000)
    seen = []
    for _ in range(2):
        run = masked_run(public, {name: np.zeros(public.dim, dtype=np.uint64) for name in public.cohort})
        run.total()
        seen += list(wire_vectors(run).values())

    for one, other in itertools.combinations(seen, 2):
        assert np.count_nonzero(one == other) <= 2
        assert np.count_nonzero(one + other == 0) <= 2


def test_a_role_that_has_finished_or_refused_answers_nothing():
    public = parameters(3)
    scheme = MaskedSum(public)
    server = scheme.server()
    client = scheme.client(public.cohort[0], vectors(public)[public.cohort[0]], rng=secure())
    request = server.requests()[public.cohort[0]]
    client.answer(request)

    with pytest.raises(Exception, match="KEYS frame"):
        client.answer(request)
    with pytest.raises(OutOfTurn):
        client.answer(request)


@pytest.mark.parametrize(
    ("vector", "error", "reason"),
    [
        (np.zeros(9, dtype=np.uint64), ConfigError, "shape"),
        (np.zeros((), dtype=np.uint64), ConfigError, "shape"),
        (np.zeros(0, dtype=np.uint64), ConfigError, "shape"),
        (np.zeros(10), ConfigError, "float64"),
        (np.full(10, np.nan), ConfigError, "float64"),
        (np.full(10, 2**32, dtype=np.uint64), CapacityError, "below 2\\*\\*32"),
        (np.full(10, 101, dtype=np.uint64), CapacityError, "limit of 100"),
        (np.full(10, 2**32 - 101, dtype=np.uint64), CapacityError, "limit of 100"),
    ],
)
def test_a_vector_that_does_not_fit_is_refused_by_name(vector, error, reason):
    public = parameters(3, limit=100)

    with pytest.raises(error, match=reason) as caught:
        MaskedSum(public).client(public.cohort[0], vector, rng=secure())

    assert public.cohort[0] in str(caught.value)


def test_a_stranger_has_no_role():
    with pytest.raises(ConfigError, match="stranger"):
        MaskedSum(parameters(3)).client("stranger", np.zeros(10, dtype=np.uint64), rng=secure())


def test_a_sum_beyond_its_limit_is_an_error():
    """Guard bits: five vectors within the limit add up to more than it, which is seen and named."""
    public = parameters(5, limit=100)
    scheme = MaskedSum(public)
    clients = {name: scheme.client(name, np.full(10, 90, dtype=np.uint64), rng=secure()) for name in public.cohort}

    with pytest.raises(Exception, match="beyond the limit of 100"):
        secure_sum(scheme.server(), clients)
