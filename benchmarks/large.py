"""One masked sum of a large cohort, beside its floor: clients in two processes, the server in one of its own."""

from __future__ import annotations

import statistics
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from benchmarks.cohort import PROCESSES, masked_sum
from benchmarks.floors import exchange_seconds, signature_seconds
from securefed.aggregation.parameters import Context, Parameters, default_threshold
from securefed.aggregation.topology import choose

CONTEXT = Context(task="benchmark", round=0, model=bytes(32), plan=bytes(32))


def large(clients: int, *, dim: int) -> dict[str, object]:
    """Return the figures of a cohort with the server alone in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_large, clients, dim=dim).result()


def parameters(clients: int, dim: int) -> Parameters:
    """Return the public parameters of a cohort."""
    names = tuple(f"client-{place:05d}" for place in range(clients))
    threshold = default_threshold(clients)
    return Parameters(bits=32, dim=dim, cohort=names, threshold=threshold, context=CONTEXT)


def _large(clients: int, *, dim: int) -> dict[str, object]:
    """Add the vectors of a cohort of which one client in twenty leaves before it sends its vector."""
    public = parameters(clients, dim)
    leaving = public.cohort[::20]
    before = exchange_seconds(), signature_seconds()
    found = masked_sum(public, leaving=leaving)
    after = exchange_seconds(), signature_seconds()
    expected = np.arange(dim, dtype=np.uint64) * np.uint64(clients - len(leaving)) & public.modulus_mask
    if not np.array_equal(found.total, expected):
        raise AssertionError("the masked sum is wrong")
    topology = choose(clients, public.threshold)
    exchange, signature = (statistics.mean(pair) for pair in zip(before, after, strict=True))
    floor = clients * (2 * topology.degree * exchange + 20 * signature)
    work = found.client_seconds + found.server_seconds
    return {
        "clients": clients,
        "dim": dim,
        "neighbours": topology.degree,
        "witnesses": topology.witnesses,
        "client_processes": PROCESSES,
        "wall_seconds": found.seconds,
        "work_seconds": work,
        "floor_seconds": floor,
        "floor_wall_seconds": floor / PROCESSES,
        "ratio_to_floor": work / floor,
        "milliseconds_a_client": 1000 * found.client_seconds / clients,
        "server_milliseconds_a_client": 1000 * found.server_seconds / clients,
        "server_megabytes": found.server_megabytes,
        "bytes_a_client": sum(found.bytes_of.values()),
        "bytes_beside_the_vector": sum(found.bytes_of.values()) - public.dim * public.bits // 8,
    }
