"""Epsilon of a ledger of a thousand events, calibration, and one durable charge at its end.

Work: what reports and refusals need, for four kinds of ledgers. Peers answer the same questions for the same noise
multipliers and rates: dp-accounting's PLD (grid 1e-4, its default) and RDP accountants, Opacus' PRV and RDP
accountants; on a ledger of a thousand different events each of them takes minutes. The floor of a charge is a commit of
a line as long as its own, by the same SQLite settings in the same folder: what the disk and the database take.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import dp_accounting
from dp_accounting import pld, rdp
from opacus.accountants import PRVAccountant
from opacus.accountants.utils import get_noise_multiplier

from benchmarks.timing import interleaved, ratio
from securefed.privacy import accounting, renyi
from securefed.privacy.clipping import Adjacency
from securefed.privacy.events import Event, Sampling
from securefed.privacy.gaussian import CentralGaussian
from securefed.privacy.ledger import Ledger
from securefed.privacy.shares import SumOfShares
from securefed.privacy.storage import connect, writing

EVENTS, DELTA, RATE = 1000, 1e-5, 0.05


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    events = 100 if quick else EVENTS
    repetitions = 3 if quick else 7
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        epsilons = {name: _epsilon(ledger, repetitions) for name, ledger in _ledgers(events).items()}
        return {
            "events": events,
            "epsilon": epsilons,
            "calibrate": _calibrate(events, repetitions),
            "charge": _charge(events, 20 if quick else 100),
            "slowest_epsilon_seconds": max(float(each["seconds"]["ours"]) for each in epsilons.values()),
        }


def _event(noise_multiplier: float, rate: float = 1.0) -> CentralGaussian:
    return CentralGaussian(
        sensitivity=1.0,
        stddev=noise_multiplier,
        unit="record",
        adjacency=Adjacency.ADD_OR_REMOVE_ONE,
        sampling=Sampling(rate=rate),
    )


def _ledgers(events: int) -> dict[str, list[CentralGaussian]]:
    return {
        "full_equal": [_event(30.0)] * events,
        "full_distinct": [_event(30.0 + i / events) for i in range(events)],
        "sampled_equal": [_event(1.0, RATE)] * events,
        "sampled_distinct": [_event(1.0 + i / events, RATE) for i in range(events)],
    }


def _epsilon(events: Sequence[CentralGaussian], repetitions: int) -> dict[str, dict[str, float]]:
    """Return seconds and epsilons of every accountant on one ledger."""

    def ours() -> float:
        renyi._sampled_gaussian.cache_clear()
        return accounting.epsilon(events, delta=DELTA, view="server")

    work: dict[str, Callable[[], float]] = {"ours": ours}
    if len(set(events)) == 1:
        work["dp_accounting_rdp"] = lambda: _peer(rdp.RdpAccountant, events)
        work["dp_accounting_pld"] = lambda: _peer(pld.PLDAccountant, events)
        work["opacus_prv"] = lambda: _prv(events)
    seconds = interleaved(work, repetitions=repetitions)
    found = {"seconds": {name: statistics.median(times) for name, times in seconds.items()}}
    found["epsilons"] = {name: do() for name, do in work.items()}
    found["spread_of_ours"] = {"least": min(seconds["ours"]), "most": max(seconds["ours"])}
    found["speedup"] = {n: ratio(times, seconds["ours"])["ratio"] for n, times in seconds.items() if n != "ours"}
    return found


def _peer(kind: Callable[[], dp_accounting.PrivacyAccountant], events: Sequence[CentralGaussian]) -> float:
    gaussian = dp_accounting.GaussianDpEvent(events[0].stddev)
    sampled = dp_accounting.PoissonSampledDpEvent(events[0].sampling.rate, gaussian)
    return float(kind().compose(sampled, len(events)).get_epsilon(DELTA))


def _prv(events: Sequence[CentralGaussian]) -> float:
    accountant = PRVAccountant()
    accountant.history = [(events[0].stddev, events[0].sampling.rate, len(events))]
    return float(accountant.get_epsilon(DELTA))


def _calibrate(rounds: int, repetitions: int) -> dict[str, object]:
    def ours(rate: float, order: int = 0) -> float:
        renyi._sampled_gaussian.cache_clear()
        return accounting.calibrate(epsilon=4.0, delta=DELTA, rounds=rounds, rate=rate, order=order)

    def best() -> float:
        order = accounting.best_order(epsilon=4.0, delta=DELTA, rounds=rounds, rate=RATE)
        return ours(RATE, order)

    def opacus(kind: str) -> float:
        return float(
            get_noise_multiplier(
                target_epsilon=4.0, target_delta=DELTA, sample_rate=RATE, steps=rounds, accountant=kind
            )
        )

    work: dict[str, Callable[[], float]] = {
        "ours_full": lambda: ours(1.0),
        "ours_sampled": lambda: ours(RATE),
        "ours_sampled_best_order": best,
        "opacus_rdp_sampled": lambda: opacus("rdp"),
        "opacus_prv_sampled": lambda: opacus("prv"),
    }
    seconds = interleaved(work, repetitions=repetitions)
    return {
        "seconds": {name: statistics.median(times) for name, times in seconds.items()},
        "noise_multipliers": {name: do() for name, do in work.items()},
        "speedup_over_opacus_rdp": ratio(seconds["opacus_rdp_sampled"], seconds["ours_sampled"]),
    }


def _charge(before: int, repetitions: int) -> dict[str, object]:
    """Return wall seconds of one more charge; they are spent on the disk, not on the processor."""
    event = SumOfShares(
        sensitivity=1000.0,
        share_stddev=1e6,
        shares=8,
        max_dropouts=1,
        max_colluders=1,
        dim=10_000,
        unit="record",
        adjacency=Adjacency.ADD_OR_REMOVE_ONE,
    )
    with tempfile.TemporaryDirectory() as name:
        ledger = Ledger.open(Path(name) / "ours", dataset="ours", budget_epsilon=8.0, budget_delta=DELTA)
        for number in range(before):
            ledger.charge(event, run="run", round=number, purpose="train", plan_digest="00")
        bare = connect(Path(name) / "bare", "CREATE TABLE lines (line TEXT NOT NULL)")
        line = "x" * len(ledger.exported().splitlines()[-1])

        def commit() -> None:
            with writing(bare):
                bare.execute("INSERT INTO lines VALUES (?)", (line,))

        charges, commits = [], []
        for number in range(repetitions):
            other: Event = replace(event, share_stddev=1e6 + number)
            charges.append(_wall(partial(ledger.charge, other, run="run", round=1, purpose="train", plan_digest="00")))
            commits.append(_wall(commit))
        ledger.close()
        bare.close()
    return {
        "charge_milliseconds": 1000 * statistics.median(charges),
        "commit_milliseconds": 1000 * statistics.median(commits),
        "ratio_to_commit": ratio(charges, commits),
    }


def _wall(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start
