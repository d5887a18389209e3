"""How time and bytes grow: with clients, coordinates, records, classes and rounds.

Each axis is walked alone. ``exponent`` is the slope of a straight line through the logarithms of all points, ``last``
that of the last two: 1 is proportional, 0 constant. What must grow: masking and every answer in proportion to the
coordinates; one client's work in a complete graph (up to 128 clients) in proportion to the others, above that like the
logarithm of the cohort; the server's memory with the coordinates once, never times the clients, but with the sealed
shares of every client; a clipped sum in proportion to records and to classes; epsilon of a ledger hardly at all, since
equal events are composed at once.

Above 128 clients a sum runs on the sparse graph (a tenth may leave, a tenth may be corrupt; one in twenty does leave),
clients in two processes, the server in one of its own. The floor of a cohort is its key agreements and signatures
alone, timed beside it: two X25519 exchanges for each neighbour of each client (one for the box key, one for the mask
key), five messages each way signed and verified. One exchange a pair for both keys would halve that and is not safe:
the mask key of a client that leaves is revealed, and with it every box to and from that client would open, with the
shares of its other secret inside. ``floor_seconds`` is that work on one core, ``floor_wall_seconds`` on as many as
there are processes of clients: where it lies above a goal on the clock, no code on top of these exchanges meets the
goal on such a machine. Here every round deals its own keys; a deal that serves R rounds exchanges box keys once, so a
round needs 1 + 1/R exchanges for each neighbour instead of 2.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from benchmarks.large import large
from securefed.adapters.cachefl import CacheFL
from securefed.privacy import accounting
from securefed.privacy.clipping import Adjacency
from securefed.privacy.gaussian import CentralGaussian
from securefed.training import clipped_sum

Row = Mapping[str, float]

KEYS_PER_CLASS, DIM = 16, 512


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    torch.set_num_threads(1)
    repetitions = 2 if quick else 5
    clients = (10, 30) if quick else (10, 30, 100, 300, 1_000, 3_000, 10_000)
    dims = (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000, 10_000_000)
    records = (100, 1_000) if quick else (100, 1_000, 10_000, 50_000)
    classes = (10, 100) if quick else (10, 30, 100, 300, 1_000)
    rounds = (10, 100) if quick else (10, 100, 1_000, 10_000)
    cohorts = [large(count, dim=10_000) for count in clients]
    return {
        "clients": axis(clients, [_growing(found) for found in cohorts]),
        "cohorts": cohorts,
        "coordinates": axis(dims, [_growing(large(10, dim=dim)) for dim in dims]),
        "records": axis(records, [_clip(count, 10, repetitions) for count in records]),
        "classes": axis(classes, [_clip(256, count, repetitions) for count in classes]),
        "rounds": axis(rounds, [_epsilon(count, repetitions) for count in rounds]),
    }


def axis(sizes: Sequence[int], rows: Sequence[Row]) -> dict[str, object]:
    """Return the points of one axis and how fast each figure grows along it."""
    series = {name: [row[name] for row in rows] for name in rows[0]}
    growth = {name: {"exponent": slope(sizes, ys), "last": slope(sizes[-2:], ys[-2:])} for name, ys in series.items()}
    return {"sizes": list(sizes), "figures": series, "growth": growth}


def slope(sizes: Sequence[int], figures: Sequence[float]) -> float:
    """Return the slope of the least-squares line through the logarithms; zero if a figure is not positive."""
    if min(figures) <= 0:
        return 0.0
    return float(np.polyfit(np.log(sizes), np.log(figures), 1)[0])


def _growing(found: Mapping[str, object]) -> Row:
    names = ("milliseconds_a_client", "server_milliseconds_a_client", "server_megabytes", "bytes_a_client")
    return {name: float(str(found[name])) for name in names}


def _clip(records: int, classes: int, repetitions: int) -> Row:
    random = torch.Generator().manual_seed(0)

    def unit(*shape: int) -> torch.Tensor:
        drawn = torch.randn(*shape, generator=random, dtype=torch.float64)
        return torch.nn.functional.normalize(drawn, dim=1)

    keys = classes * KEYS_PER_CLASS
    cache = CacheFL.from_generated(
        unit(keys, DIM),
        torch.arange(keys) // KEYS_PER_CLASS,
        text=unit(classes, DIM),
        scale=100.0,
        alpha=3.0,
        beta=3.0,
        keys_per_class=KEYS_PER_CLASS,
        shrinkage=None,
    )
    features, labels = unit(records, DIM), torch.arange(records) % classes
    work = _median(lambda: clipped_sum(cache, features, labels, clip_norm=1.0), repetitions)
    return {"clipped_sum_milliseconds": 1000 * work}


def _epsilon(rounds: int, repetitions: int) -> Row:
    event = CentralGaussian(
        sensitivity=1.0, stddev=math.sqrt(rounds), unit="record", adjacency=Adjacency.ADD_OR_REMOVE_ONE
    )
    return {"epsilon_milliseconds": 1000 * _median(lambda: _spent([event] * rounds), repetitions)}


def _spent(events: Sequence[CentralGaussian]) -> float:
    return accounting.epsilon(events, delta=1e-5, view="server")


def _median(work: Callable[[], object], repetitions: int) -> float:
    work()
    seconds = []
    for _ in range(repetitions):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)
