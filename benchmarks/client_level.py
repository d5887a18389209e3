"""One round with a client as the unit of privacy, against Flower's fixed-clipping strategy and plain averages.

Work: the updates of 30 clients, 81,920 numbers each, become one noisy mean with a noise multiplier of 1. Flower's
server sees every update, clips it and adds float noise once (``DifferentialPrivacyServerSideFixedClipping`` around
``FedAvg``); ``fedavg`` is its strategy without clipping and noise, ``numpy_mean`` the mean of arrays that are at hand:
the floor. Ours trusts no server, so each client clips, quantises and draws its own share of exact integer noise; what
one client and what the server works is told apart, since clients work at the same time. Secure sums are measured
elsewhere: here the server adds what it is sent. One thread, interleaved, process seconds.
"""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from flwr.common import Code, FitRes, Parameters, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server.strategy import DifferentialPrivacyServerSideFixedClipping, FedAvg

from benchmarks.timing import interleaved, ratio
from securefed import rng
from securefed.encoding import FixedPoint, RingVector
from securefed.privacy.clipping import clip_factors
from securefed.privacy.discrete import discrete_gaussian

CLIENTS, DIM, CLIP, MULTIPLIER = 30, 81_920, 1.0, 1.0

Reals = npt.NDArray[np.float64]


def run(quick: bool) -> dict[str, object]:
    """Measure and return the figures."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    dim = 8_192 if quick else DIM
    updates = list(np.random.default_rng(0).normal(size=(CLIENTS, dim)) / math.sqrt(dim))
    encoding = FixedPoint(bits=48, step=CLIP / 2**16, bound=CLIP, summands=CLIENTS, noise_stddev=2.0**17)
    sent = [_contribution(encoding, update) for update in updates]
    arrived = [ndarrays_to_parameters([update]) for update in updates]
    work: dict[str, Callable[[], object]] = {
        "one_client": lambda: _contribution(encoding, updates[0]),
        "server": lambda: _mean(encoding, sent),
        "numpy_mean": lambda: _plain_mean(updates),
        "fedavg": lambda: flower(FedAvg(), arrived),
        "flower_fixed_clipping": lambda: flower(_fixed_clipping(dim), arrived),
    }
    seconds = interleaved(work, repetitions=4 if quick else 40)
    return {
        "clients": CLIENTS,
        "dim": dim,
        "milliseconds": {name: 1000 * statistics.median(times) for name, times in seconds.items()},
        "server_over_floor": ratio(seconds["server"], seconds["numpy_mean"]),
        "flower_server_over_ours": ratio(seconds["flower_fixed_clipping"], seconds["server"]),
        "fedavg_over_ours": ratio(seconds["fedavg"], seconds["server"]),
    }


def flower(strategy: FedAvg | DifferentialPrivacyServerSideFixedClipping, arrived: list[Parameters]) -> Reals:
    """Return what a strategy of Flower makes of parameters that arrived."""
    results = [(None, FitRes(Status(Code.OK, ""), each, num_examples=1, metrics={})) for each in arrived]
    aggregated, _ = strategy.aggregate_fit(2, results, [])  # type: ignore[arg-type]
    if aggregated is None:
        raise ValueError("Flower's strategy returned nothing")
    return np.asarray(parameters_to_ndarrays(aggregated)[0], dtype=np.float64)


def _fixed_clipping(dim: int) -> DifferentialPrivacyServerSideFixedClipping:
    """Return Flower's strategy; parameters are the updates themselves, so what clients began with is zero."""
    strategy = DifferentialPrivacyServerSideFixedClipping(FedAvg(), MULTIPLIER, CLIP, CLIENTS)
    strategy.current_round_params = [np.zeros(dim)]
    return strategy


def _contribution(encoding: FixedPoint, update: Reals) -> RingVector:
    """Return what one client sends: clipped, quantised, with its share of the noise."""
    factors = clip_factors(np.array([np.linalg.norm(update)]), clip_norm=CLIP)
    share = MULTIPLIER * CLIP / encoding.step / math.sqrt(CLIENTS)
    return encoding.to_ring(
        encoding.to_integers(update * factors) + discrete_gaussian(share, len(update), rng=rng.secure())
    )


def _plain_mean(updates: list[Reals]) -> Reals:
    total = np.zeros_like(updates[0])
    for update in updates:
        total += update
    return total / len(updates)


def _mean(encoding: FixedPoint, sent: list[RingVector]) -> Reals:
    total = np.zeros_like(sent[0])
    for vector in sent:
        total += vector
    return encoding.decode(total & encoding.modulus_mask) / CLIENTS
