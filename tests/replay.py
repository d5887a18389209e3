"""Neighbour replay: what a client's contribution would be without noise, for two neighbouring data sets.

Everything else is the code that runs: batches, clipping, quantising, the door and the ring. A new adapter is one line
of ``ADAPTERS``; a new setting one line of ``SETTINGS``. A plan knows of an adapter only how long its updates are.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from unittest import mock

import numpy as np
import torch
from torch import nn

from securefed.adapters import flora, through_text
from securefed.adapters.clip_adapter import ClipAdapter
from securefed.adapters.fedclip import FedCLIP
from securefed.adapters.flora import LowRankText
from securefed.adapters.linear import LinearProbe
from securefed.adapters.prompts import Prompts
from securefed.adapters.through_text import ThroughText
from securefed.generic.module import ModuleAdapter
from securefed.privacy.shares import SkellamShares, SumOfShares
from securefed.rng import seeded
from securefed.rounds import Client, contribution
from tests import toys
from tests.adapters import texts

TEXT = toys.unit(toys.CLASSES, toys.DIM, seed=2)


def module():
    """A small network with as many parameters as the toy cache has."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Linear(toys.DIM, 4, bias=False), nn.Tanh(), nn.Linear(4, toys.CLASSES, bias=False))
    return ModuleAdapter(layers, text=TEXT, scale=10.0, provenance="public")


def clip_adapter():
    """A bottleneck that is wide enough for most records to have a gradient."""
    found = ClipAdapter.drawn(text=TEXT, scale=10.0, rng=seeded(1), ratio=0.8, reduction=2)
    return found.moved_to(3 * found.vector())


@dataclass(frozen=True)
class Kind:
    """One adapter to replay.

    Attributes:
        make: Builds it.
        trials: Pairs of neighbours a setting; those that take longer get fewer.
        classes: Its classes.
        dim: Length of its features.
    """

    make: object
    trials: int
    classes: int = toys.CLASSES
    dim: int = toys.DIM

    @cached_property
    def adapter(self):
        return self.make()

    def plan(self, **changes):
        """Return a plan for updates of this adapter's length: one class with one key of one feature a coordinate."""
        names = tuple(f"c{i}" for i in range(len(self.adapter.vector())))
        one = {"kind": "cachefl", "keys_per_class": 1}
        return toys.plan(classes=names, feature_dim=1, adapter=one, **changes)


def flora_in_text_space():
    return flora.of_prototypes(texts.low_rank(), clip=texts.model(), classes=texts.NAMES)


def flora_by_the_chain_rule():
    tower = texts.tower(texts.NAMES[:2])
    return flora.exact(LowRankText.drawn(tower, rng=seeded(1), sites=("out",), rank=1, alpha=4.0))


def prompts():
    return ThroughText.over(Prompts.from_words(texts.model(), texts.NAMES[:2]))


ADAPTERS = {
    "CacheFL": Kind(toys.adapter, 350),
    "FedCLIP": Kind(lambda: FedCLIP.drawn(text=TEXT, scale=10.0, rng=seeded(1)), 105),
    "CLIP-Adapter": Kind(clip_adapter, 105),
    "linear probe": Kind(lambda: LinearProbe.from_text(text=TEXT, scale=10.0), 105),
    "FLoRA in text space": Kind(flora_in_text_space, 35, classes=4, dim=128),
    "FLoRA": Kind(flora_by_the_chain_rule, 21, classes=2, dim=128),
    "prompts": Kind(prompts, 21, classes=2, dim=128),
    "module": Kind(module, 63),
}
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


@contextmanager
def texts_differentiated_once():
    """Keep the derivative of the class texts, which is public and takes most of the time, while parameters stay."""
    known, true = {}, through_text.jacobian

    def kept(encoder, parameters):
        key = id(encoder), parameters.numpy().tobytes()
        if key not in known:
            known[key] = true(encoder, parameters)
        return known[key]

    with mock.patch.object(through_text, "jacobian", kept):
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


def worst(plan, kind, trials=None):
    """Return the largest distance over many pairs of neighbours."""
    # A client's local steps move the adapter, which takes longer; and every pair differs in all records.
    trials = trials or kind.trials // (3 if plan.unit == "client" else 1)
    with without_noise(), texts_differentiated_once():
        return max(moved(plan, kind.adapter, pair(plan, kind, trial)) for trial in range(trials))


def pair(plan, kind, trial):
    """Return two neighbouring data sets: ordinary ones, and those that somebody would choose to break a bound."""
    one = data(kind, trial, "one")
    if plan.unit == "client":
        return one, None if plan.adjacency == "add-or-remove-one" else another(kind, one, trial)
    rest = tuple(each[:-1] for each in one)
    if plan.adjacency == "add-or-remove-one":
        return one, rest
    last = (each[-1:] for each in opposite(kind, one, trial))
    return one, tuple(torch.cat(parts) for parts in zip(rest, last, strict=True))


def another(kind, one, trial):
    """Return the data of a client that takes the place of one: chosen to pull the other way, or drawn anew."""
    return opposite(kind, one, trial) if trial % 2 else data(kind, trial, "other")


def data(kind, trial, name):
    """Return features and labels; every seventh trial is of the same kind."""
    draw = seeded(trial, name).generator()
    count = int(draw.integers(1, 30))
    features = torch.from_numpy(draw.normal(size=(count, kind.dim)))
    labels = torch.from_numpy(draw.integers(kind.classes, size=count))
    kinds = [
        lambda: torch.nn.functional.normalize(features, dim=1),
        lambda: features * 1e6,  # saturated: the longest gradients there are
        lambda: features * 1e-12,
        lambda: features[:1].repeat(count, 1),  # everybody pulls the same way
        lambda: features * torch.from_numpy(10.0 ** draw.integers(-4, 5, size=(count, 1))),
        lambda: spoilt(features, draw),
        lambda: torch.eye(kind.dim, dtype=torch.float64)[torch.arange(count) % kind.dim] * 3.0,
    ]
    return kinds[trial % len(kinds)](), labels


def spoilt(features, draw):
    """Put a value that is not finite, or too large to square, into the last record, where neighbours differ."""
    changed = features.clone()
    changed[-1, int(draw.integers(features.shape[1]))] = float(draw.choice([np.nan, np.inf, -np.inf, 1e300]))
    return changed


def opposite(kind, found, trial):
    """Return records that pull about the other way: turned around or not, and with another label."""
    features, labels = found
    return (-features if trial % 2 else features), (labels + 1 + trial // 2 % 2) % kind.classes
