"""Neighbour replay: what a client's contribution would be without noise, for two neighbouring data sets.

Everything else is the code that runs: batches, clipping, quantising, the door and the ring. A new adapter is one line
of ``ADAPTERS``; a new setting one line of ``SETTINGS``.
"""

from contextlib import contextmanager
from unittest import mock

import numpy as np
import torch
from torch import nn

from securefed.generic.module import ModuleAdapter
from securefed.privacy.shares import SkellamShares, SumOfShares
from securefed.rng import seeded
from securefed.rounds import Client, contribution
from tests import toys


def module():
    """A small network with as many parameters as the toy cache has."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Linear(toys.DIM, 4, bias=False), nn.Tanh(), nn.Linear(4, toys.CLASSES, bias=False))
    return ModuleAdapter(layers, text=toys.unit(toys.CLASSES, toys.DIM, seed=2), scale=10.0, provenance="public")


ADAPTERS = {"CacheFL": toys.adapter, "module": module}
REPLACE = {"adjacency": "replace-one"}
SETTINGS = {
    "distributed": {},
    "distributed, replaced": REPLACE,
    "distributed, coarse ring": {"bits": 14},
    "per-client": {"setting": "per-client"},
    "per-client, replaced": {"setting": "per-client"} | REPLACE,
    "client-level": {"setting": "client-level"},
    "client-level, coarse ring": {"setting": "client-level", "bits": 14, "local_steps": 2},
    "client-level, replaced": {"setting": "client-level", "local_steps": 2} | REPLACE,
    "Poisson": {"sampling": "poisson", "sampling_rate": 0.5},
    "shuffled": {"sampling": "shuffled", "sampling_rate": 0.5},
    "Skellam": {"noise": "skellam", "bits": 24},
    "Skellam, replaced": {"noise": "skellam", "bits": 24} | REPLACE,
}


class Free:
    """A ledger that charges nothing: the same client is asked again and again."""

    def charge(self, *_, **__):
        return None


@contextmanager
def without_noise():
    """Let every share of noise be zero."""
    nothing = {"draw": lambda self, *, rng: np.zeros(self.dim, np.int64)}
    with mock.patch.multiple(SumOfShares, **nothing), mock.patch.multiple(SkellamShares, **nothing):
        yield


def answer(plan, adapter, data):
    """Return one client's contribution as signed integers, with the coins of the sample fixed."""
    features, labels = data
    client = Client(
        name=plan.cohort[0], features=features, labels=labels, ledger=Free(), batches=plan.batches("replay")
    )
    vector = contribution(plan, adapter, client, run="replay", number=1, rng=seeded(1, "coins"))
    return plan.encoding.to_signed(vector)


def moved(plan, adapter, pair):
    """Return how far two neighbours are apart, in ring units; a client that is None is not there at all."""
    sums = [np.zeros(plan.dim, np.int64) if data is None else answer(plan, adapter, data) for data in pair]
    return float(np.linalg.norm(sums[0] - sums[1]))


def worst(plan, adapter, trials):
    """Return the largest distance over many pairs of neighbours."""
    with without_noise():
        return max(moved(plan, adapter, pair(plan, trial)) for trial in range(trials))


def pair(plan, trial):
    """Return two neighbouring data sets: ordinary ones, and those that somebody would choose to break a bound."""
    one = data(trial, "one")
    if plan.unit == "client":
        other = (
            None
            if plan.adjacency == "add-or-remove-one"
            else opposite(one, trial)
            if trial % 2
            else data(trial, "other")
        )
    elif plan.adjacency == "add-or-remove-one":
        other = tuple(each[:-1] for each in one)
    else:
        other = tuple(torch.cat([each[:-1], last[-1:]]) for each, last in zip(one, opposite(one, trial), strict=True))
    return one, other


def data(trial, name):
    """Return features and labels; every seventh trial is of the same kind."""
    draw = seeded(trial, name).generator()
    count = int(draw.integers(1, 30))
    features = torch.from_numpy(draw.normal(size=(count, toys.DIM)))
    labels = torch.from_numpy(draw.integers(toys.CLASSES, size=count))
    kinds = [
        lambda: torch.nn.functional.normalize(features, dim=1),
        lambda: features * 1e6,  # saturated: the longest gradients there are
        lambda: features * 1e-12,
        lambda: features[:1].repeat(count, 1),  # everybody pulls the same way
        lambda: features * torch.from_numpy(10.0 ** draw.integers(-4, 5, size=(count, 1))),
        lambda: spoilt(features, draw),
        lambda: torch.eye(toys.DIM, dtype=torch.float64)[torch.arange(count) % toys.DIM] * 3.0,
    ]
    return kinds[trial % len(kinds)](), labels


def spoilt(features, draw):
    """Put a value that is not finite, or too large to square, into the last record, where neighbours differ."""
    changed = features.clone()
    changed[-1, int(draw.integers(toys.DIM))] = float(draw.choice([np.nan, np.inf, -np.inf, 1e300]))
    return changed


def opposite(found, trial):
    """Return records that pull about the other way: turned around or not, and with another label."""
    features, labels = found
    return (-features if trial % 2 else features), (labels + 1 + trial // 2 % 2) % toys.CLASSES
