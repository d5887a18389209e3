"""Time several ways of doing the same work, interleaved, so that a busy machine slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(work: Mapping[str, Callable[[], object]], *, repetitions: int) -> dict[str, list[float]]:
    """Return process seconds of each repetition, by name; one untimed repetition goes before."""
    for do in work.values():
        do()
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(repetitions):
        for name, do in work.items():
            start = time.process_time()
            do()
            seconds[name].append(time.process_time() - start)
    return seconds


def ratio(over: list[float], under: list[float]) -> dict[str, float]:
    """Return the ratio of medians, and the quartiles of the ratios of repetitions taken one after the other."""
    pairs = sorted(a / b for a, b in zip(over, under, strict=True))
    low, _, high = statistics.quantiles(pairs, n=4)
    return {"ratio": statistics.median(over) / statistics.median(under), "quartile_low": low, "quartile_high": high}
