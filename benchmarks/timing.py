"""Time several ways of doing the same work, interleaved, so that a busy machine slows all of them alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np


def interleaved(work: Mapping[str, Callable[[], object]], *, repetitions: int) -> dict[str, list[float]]:
    """Return process seconds of each repetition, by name.

    One untimed repetition goes before. Every repetition has an order of its own, so that nothing always finds the cache
    and the heap as the same predecessor leaves them; garbage is collected between repetitions, not within them.
    """
    for do in work.values():
        do()
    names, order = list(work), np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with _uncollected():
        for _ in range(repetitions):
            gc.collect()  # what hooks leave in circles would fill the memory
            for name in order.permutation(names):
                start = time.process_time()
                work[name]()
                seconds[name].append(time.process_time() - start)
    return seconds


@contextmanager
def _uncollected() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def ratio(over: list[float], under: list[float]) -> dict[str, float]:
    """Return the ratio of medians, and the quartiles of the ratios of repetitions taken one after the other."""
    pairs = sorted(a / b for a, b in zip(over, under, strict=True))
    low, _, high = statistics.quantiles(pairs, n=4)
    return {"ratio": statistics.median(over) / statistics.median(under), "quartile_low": low, "quartile_high": high}


def empty_loops() -> list[float]:
    """Return the seconds of each of many empty loops, one to two seconds of them."""
    seconds = []
    for _ in range(400):
        start = time.perf_counter()
        for _ in range(100_000):
            pass
        seconds.append(time.perf_counter() - start)
    return seconds


def busy(before: list[float], after: list[float]) -> dict[str, float]:
    """Return the median time of an empty loop over the least of all, before and after: 1 if nothing else ran.

    A virtual machine whose host is busy can take twice as long for everything, with no sign of it inside. Ratios of
    work by turns bear that, seconds do not.
    """
    least = min(before + after)
    return {"before": statistics.median(before) / least, "after": statistics.median(after) / least}
