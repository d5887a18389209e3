"""Sharing and rebuilding secrets of 32 bytes among 10 and 100 clients, against Flower's primitives.

A client of a masked sum shares two secrets; the server rebuilds one for every client from the same set of survivors, so
the Lagrange coefficients are computed once. Flower shares a seed of 32 bytes and a private key of 306 bytes (its P-384
PEM) and rebuilds either. The floor of rebuilding is one product a share in Python's integers. One thread, interleaved.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.supercore.primitives.asymmetric import generate_key_pairs, private_key_to_bytes

from benchmarks.timing import interleaved, ratio
from securefed.aggregation.parameters import default_threshold
from securefed.aggregation.shamir import PRIME, combine, draw, lagrange_at_zero, split
from securefed.rng import secure

MANY = 20
"""How often our work is repeated within one timing, because once is too short to time."""


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    cases = {str(clients): _case(clients, repetitions=2 if quick else 7) for clients in ((10,) if quick else (10, 100))}
    headline = cases["10" if quick else "100"]
    return {"speedup_over_flower": headline["speedup_over_flower"], "clients": cases}


def _case(clients: int, *, repetitions: int) -> dict[str, object]:
    threshold, rng = default_threshold(clients), secure()
    points, secrets = range(1, clients + 1), [draw(rng), draw(rng)]
    shares = split(secrets, threshold=threshold, points=points, rng=rng)[0]
    known = dict(zip(points, shares, strict=True))
    seed, key = secrets[0], private_key_to_bytes(generate_key_pairs()[0])
    seed_shares = create_shares(seed, threshold, clients)[:threshold]
    key_shares = create_shares(key, threshold, clients)[:threshold]
    values = [int.from_bytes(share, "little") for share in shares[:threshold]]
    weights = lagrange_at_zero(tuple(points)[:threshold])

    def new_survivors() -> None:
        lagrange_at_zero.cache_clear()
        lagrange_at_zero(tuple(points)[:threshold])

    work: dict[str, Callable[[], object]] = {
        "share": _often(lambda: split(secrets, threshold=threshold, points=points, rng=rng)),
        "rebuild": _often(lambda: combine(known, threshold=threshold)),
        "rebuild_floor": _often(lambda: sum(a * b for a, b in zip(weights, values, strict=True)) % PRIME),
        "coefficients": _often(new_survivors),
        "flower_share_seed": lambda: create_shares(seed, threshold, clients),
        "flower_share_key": lambda: create_shares(key, threshold, clients),
        "flower_rebuild_seed": lambda: combine_shares(seed_shares),
        "flower_rebuild_key": lambda: combine_shares(key_shares),
    }
    seconds = interleaved(work, repetitions=repetitions)
    for name in ("share", "rebuild", "rebuild_floor", "coefficients"):
        seconds[name] = [value / MANY for value in seconds[name]]
    sharing = ratio(_added(seconds["flower_share_seed"], seconds["flower_share_key"]), seconds["share"])
    rebuilding = ratio(seconds["flower_rebuild_seed"], seconds["rebuild"])
    return {
        "threshold": threshold,
        "milliseconds": {name: 1000 * statistics.median(times) for name, times in seconds.items()},
        "speedup_over_flower": min(sharing["ratio"], rebuilding["ratio"]),
        "speedup_of_sharing": sharing,
        "speedup_of_rebuilding_a_seed": rebuilding,
        "speedup_of_rebuilding_a_key": ratio(seconds["flower_rebuild_key"], seconds["rebuild"]),
        "ratio_to_floor_of_rebuilding": ratio(seconds["rebuild"], seconds["rebuild_floor"]),
    }


def _often(work: Callable[[], object]) -> Callable[[], object]:
    def repeated() -> None:
        for _ in range(MANY):
            work()

    return repeated


def _added(one: list[float], other: list[float]) -> list[float]:
    return [a + b for a, b in zip(one, other, strict=True)]
