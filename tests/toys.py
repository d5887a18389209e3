"""Small federations for tests: random unit features, a public cache, a calibrated plan."""

import torch

from securefed.adapters.cachefl import CacheFL
from securefed.data.manifest import Manifest
from securefed.plan import Plan
from securefed.preparation import Encoded, Materials
from securefed.rounds import Client

CLASSES, DIM, KEYS, RECORDS = 3, 6, 2, 60


def unit(*shape, seed):
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn, dim=-1)


def adapter():
    return CacheFL.from_generated(
        unit(CLASSES * 8, DIM, seed=1),
        torch.arange(CLASSES).repeat_interleave(8),
        text=unit(CLASSES, DIM, seed=2),
        scale=10.0,
        alpha=4.0,
        beta=1.0,
        keys_per_class=KEYS,
        shrinkage=0.1,
    )


def plan(**changes):
    choices = {
        "classes": tuple("abc"),
        "model": "toy",
        "model_digest": "0" * 64,
        "feature_dim": DIM,
        "adapter": {"kind": "cachefl", "alpha": 4.0, "keys_per_class": KEYS, "shrinkage": 0.1},
        "clients": 5,
        "rounds": 3,
        "expected_records": RECORDS,
        "clip_norm": 0.5,
        "learning_rate": 1.0,
        "epsilon": 2.0,
        "delta": 1e-3,
        "max_dropouts": 1,
        "max_colluders": 1,
        "bits": 40,
    } | changes
    if choices.get("setting") == "none":
        choices["epsilon"] = None
    return Plan.create(**choices)


def clients(plan, ledgers=None, *, records=RECORDS):
    features = unit(records, DIM, seed=3)
    labels = torch.randint(CLASSES, (records,), generator=torch.Generator().manual_seed(4))
    parts = torch.arange(records).tensor_split(plan.clients)
    return [
        Client(name=name, features=features[part], labels=labels[part], ledger=(ledgers or {}).get(name))
        for name, part in zip(plan.cohort, parts, strict=True)
    ]


def materials(plan):
    """Return what a run is made of; its records come from no images, so its manifest is empty."""
    return Materials(
        shards={each.name: Encoded(each.features, each.labels) for each in clients(plan)},
        test=Encoded(unit(30, DIM, seed=7), torch.arange(30) % CLASSES),
        unseen=None,
        adapter=adapter(),
        manifest=Manifest(plan.data, plan.partition, plan.seed, plan.classes, (), (), (), ()),
    )
