"""A whole masked sum, one hundred clients in one process and large cohorts beside a server alone.

One hundred clients, ten of which leave: seconds by phase, beside the plain sum of the same vectors through the same
loop, and with a million coordinates too. Large cohorts run on the sparse graph (a tenth may leave, a tenth may be
corrupt; one in twenty does leave), clients in two processes, the server in one of its own: what one client sends and
receives must grow like the logarithm of the cohort, and the server's memory must not grow with the vectors.

The floor of a large cohort is its key agreements and signatures alone, timed here: two X25519 exchanges for each
neighbour of each client (one for the box key, one for the mask key), five messages each way signed and verified.
One exchange a pair for both keys would halve that and is not safe: the mask key of a client that leaves is revealed,
and with it every box to and from that client would open, with the shares of its other secret inside.
``floor_seconds`` is that work on one core, ``floor_wall_seconds`` on as many as there are processes of clients: where
it lies above a goal on the clock, no code on top of these exchanges meets the goal on such a machine. Here every round
deals its own keys; a deal that serves R rounds exchanges box keys once, so a round needs 1 + 1/R exchanges for each
neighbour instead of 2.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import numpy as np

from benchmarks.cohort import PROCESSES, masked_sum
from benchmarks.timing import ratio
from securefed.aggregation.base import secure_sum
from securefed.aggregation.identity import Federation, is_signed
from securefed.aggregation.keys import agree, load, public_key
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.parameters import Context, Parameters, default_threshold
from securefed.aggregation.plain import PlainSum
from securefed.aggregation.topology import choose
from securefed.rng import secure, seeded

CONTEXT = Context(task="benchmark", round=0, model=bytes(32), plan=bytes(32))


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    hundred = _hundred(dim=10_000 if quick else 100_000, repetitions=2 if quick else 5)
    million = {} if quick else {"hundred_clients_of_a_million": _hundred(dim=1_000_000, repetitions=2)}
    cohorts = (200,) if quick else (300, 1_000, 3_000, 10_000)
    return {
        "seconds": hundred["seconds"],
        "ratio_to_plain": hundred["ratio_to_plain"],
        "hundred_clients": hundred,
        **million,
        "sparse": [large(clients, dim=10_000) for clients in cohorts],
    }


def large(clients: int, *, dim: int) -> dict[str, object]:
    """Return the figures of a cohort with the server alone in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_large, clients, dim=dim).result()


def parameters(clients: int, dim: int) -> Parameters:
    """Return the public parameters of a cohort."""
    names = tuple(f"client-{place:05d}" for place in range(clients))
    threshold = default_threshold(clients)
    return Parameters(bits=32, dim=dim, cohort=names, threshold=threshold, context=CONTEXT)


def _hundred(*, dim: int, repetitions: int) -> dict[str, object]:
    """One hundred clients of which ten leave before they send their vectors."""
    public = parameters(100, dim)
    vectors = {name: seeded(0, name).uint64(dim) & public.modulus_mask for name in public.cohort}
    members = Federation.throwaway(public.cohort, rng=secure())
    leaving = set(public.cohort[::10])

    def lost(phase: str, name: str) -> bool:
        return phase in ("mask", "plain") and name in leaving

    def one(scheme: MaskedSum | PlainSum) -> tuple[np.ndarray, dict[str, float]]:
        is_signed.cache_clear()
        phases: defaultdict[str, float] = defaultdict(float)
        last = [0.0]

        def clock(phase: str, client: str, direction: str, message: bytes) -> None:
            now = time.process_time()
            phases[phase] += now - last[0]
            last[0] = now

        server = scheme.server()
        clients = {name: scheme.client(name, vectors[name], rng=secure()) for name in public.cohort}
        start = last[0] = time.process_time()
        total = secure_sum(server, clients, lost=lost, record=clock)
        end = time.process_time()
        phases["reveal"] += end - last[0]
        return total, {**phases, "all": end - start}

    masked, plain = [], []
    for _ in range(repetitions):
        total, seconds = one(MaskedSum(public, members))
        expected, floor = one(PlainSum(public))
        if not np.array_equal(total, expected):
            raise AssertionError("the masked sum differs from the plain one")
        masked.append(seconds)
        plain.append(floor["all"])
    whole = [seconds["all"] for seconds in masked]
    quartiles = statistics.quantiles(whole, n=4)
    return {
        "clients": 100,
        "dim": dim,
        "dropouts": len(leaving),
        "seconds": statistics.median(whole),
        "seconds_quartiles": [quartiles[0], quartiles[2]],
        "seconds_by_phase": {phase: statistics.median(s[phase] for s in masked) for phase in masked[0]},
        "plain_seconds": statistics.median(plain),
        "ratio_to_plain": ratio(whole, plain),
        "share_of_masking_and_agreement": 1 - statistics.median(plain) / statistics.median(whole),
    }


def _large(clients: int, *, dim: int) -> dict[str, object]:
    """Add the vectors of a cohort of which one client in twenty leaves before it sends its vector."""
    public = parameters(clients, dim)
    leaving = public.cohort[::20]
    before = _exchange_seconds(), _signature_seconds()
    found = masked_sum(public, leaving=leaving)
    after = _exchange_seconds(), _signature_seconds()
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


def _exchange_seconds() -> float:
    private, public = load(secure().bytes(32)), public_key(secure().bytes(32))
    return _each(partial(agree, private, public))


def _signature_seconds() -> float:
    """Return the mean of signing and verifying."""
    identity = Federation.throwaway((), rng=secure()).server
    signature = identity.sign(b"")
    check = is_signed.__wrapped__
    return (_each(partial(identity.sign, b"")) + _each(partial(check, identity.public, b"", signature))) / 2


def _each(work: Callable[[], object], times: int = 2000) -> float:
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times
