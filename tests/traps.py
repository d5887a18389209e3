"""What the tests of traps share: every kind of plan, cohorts whose ledgers are free, and messages opened."""

from dataclasses import replace

import pytest

from securefed.aggregation.wire import HEADER, decode
from securefed.rng import seeded
from tests import replay, toys

SETTINGS = {
    "distributed": {},
    "per-client, two local steps": {"setting": "per-client", "local_steps": 2},
    "client-level": {"setting": "client-level", "local_steps": 2},
    "Poisson": {"sampling": "poisson", "sampling_rate": 0.25},
    "shuffled": {"sampling": "shuffled", "sampling_rate": 0.5},
    "shuffled, two local steps": {
        "setting": "per-client", "local_steps": 2, "sampling": "shuffled", "sampling_rate": 0.5
    },
    "Skellam": {"noise": "skellam", "bits": 24},
}  # fmt: skip
ALL = pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS.keys())


def clients(plan, records, *, kind=None):
    """Return a cohort whose ledgers charge nothing, so that one round can be repeated."""
    found = toys.clients(plan, records=records)
    wrap = kind or (lambda tensor: tensor)
    return [
        replace(
            each,
            features=wrap(each.features),
            labels=wrap(each.labels),
            ledger=replay.Free() if plan.private else None,
            batches=plan.batches("r") if plan.private else None,
        )
        for each in found
    ]


def sources(seed):
    return lambda purpose, number, client: seeded(seed, purpose, number, client)


def opened(message):
    """Return the numbers and strings of a frame's body, and the strings of an answer's payload."""
    length = int.from_bytes(message[6:HEADER], "big")
    numbers, strings = decode(message[HEADER : HEADER + length], numbers=2, strings=3)
    payload = decode(strings[1], numbers=0, strings=1)[1] if message[5] % 2 else []
    return numbers, strings, payload
