"""What somebody who attacks the real pipeline achieves, beside what is claimed; and the same with two deliberate bugs.

Paired: one round with and without one record, many times. The attacker knows every other record, and that record's
gradient, and looks along it. One run: a whole masked run on canaries, each in or out by a coin of its own, whose
gradients are orthogonal at every adapter; the attacker sees the released adapters only. Both state a lower bound on
epsilon that holds with 95 % confidence: ``gaussian`` uses that the noise is Gaussian, ``any`` does not.

The bugs: every client's noise halved, and records clipped at twice the bound, with nobody telling the ledger.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from securefed import rng, rounds, training
from securefed.adapters.base import Adapter
from securefed.adapters.cachefl import CacheFL
from securefed.encoding import Integers, Vector
from securefed.plan import Plan
from securefed.privacy import accounting, auditing
from securefed.privacy.discrete import discrete_gaussian
from securefed.privacy.ledger import Ledger
from securefed.privacy.shares import SumOfShares
from securefed.rng import Source
from securefed.rounds import Client, ServerState, contribution, run_round

EPSILON, DELTA, CLIP = 4.0, 1e-5, 0.1
CLASSES, CLIENTS, GUESSES = 2, 3, 200


def run(quick: bool) -> dict[str, object]:
    """Audit the pipeline as it is and with each bug, and return the bounds."""
    torch.set_num_threads(1)
    found = {}
    for name, bug in BUGS.items():
        with bug():
            found[name] = {
                "paired": paired(trials=200 if quick else 1500, seed=1),
                "one_run": one_run(canaries=512 if quick else 2048, seed=1),
            }
    return {"delta": DELTA, "confidence": 0.95, "audits": found}


@contextmanager
def noise_halved() -> Iterator[None]:
    """Draw half the noise that is charged."""

    def draw(self: SumOfShares, *, rng: Source) -> Integers:
        return discrete_gaussian(self.share_stddev / 2, self.dim, rng=rng)

    with mock.patch.object(SumOfShares, "draw", draw):
        yield


@contextmanager
def clipped_at_twice() -> Iterator[None]:
    """Clip each record at twice the norm that is charged."""

    def loose(adapter: CacheFL, features: Tensor, labels: Tensor, *, clip_norm: float) -> Vector:
        return training.clipped_sum(adapter, features, labels, clip_norm=2 * clip_norm)

    with mock.patch.object(rounds, "clipped_sum", loose):
        yield


BUGS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "none": nullcontext,
    "noise_halved": noise_halved,
    "clipped_at_twice": clipped_at_twice,
}


def paired(*, trials: int, seed: int) -> dict[str, float]:
    """Return what is claimed of one round and what is found, from ``trials`` rounds with and without one record."""
    plan, adapter = _plan(dim=8, records=30, rounds=1, secure="plain"), _cache(8)
    features, labels = _records(30, 8)
    direction = _directions(adapter, features, labels)[-1]
    source = rng.seeded(seed, "paired")
    out, inside = (
        np.array([_released(plan, adapter, features[:n], labels[:n], source) @ direction for _ in range(trials)])
        for n in (29, 30)
    )
    errors = auditing.paired(out, inside)
    return {
        "claimed": accounting.epsilon([plan.event], delta=DELTA, view="server"),
        "gaussian": auditing.epsilon_of_mu(errors.mu(), DELTA),
        "any": errors.epsilon(delta=DELTA),
    }


class _Free:
    """Stands for a ledger where one round is repeated, which no budget would allow."""

    def charge(self, *_: object, **__: object) -> None:
        """Charge nothing."""


def _released(plan: Plan, adapter: CacheFL, features: Tensor, labels: Tensor, source: Source) -> Vector:
    """Return the decoded sum of one round: clipped, quantised, noised by every client, added in the ring."""
    total = np.zeros(plan.dim, np.uint64)
    for place, name in enumerate(plan.cohort):
        own = slice(place, None, CLIENTS)
        client = Client(name=name, features=features[own], labels=labels[own], ledger=_Free())  # type: ignore[arg-type]
        total += contribution(plan, adapter, client, run="audit", number=1, rng=source)
    return plan.encoding.decode(total & plan.encoding.modulus_mask)


def one_run(*, canaries: int, seed: int) -> dict[str, float]:
    """Return what the clients' ledgers claim of a whole masked run, and what its released adapters give away."""
    plan, adapter = _plan(dim=canaries, records=canaries, rounds=2, secure="mask"), _cache(canaries)
    features = torch.eye(canaries, dtype=torch.float64)
    labels = torch.arange(canaries) % CLASSES
    inside = rng.seeded(seed, "coins").uint64(canaries) % np.uint64(2) == 1
    scores = np.zeros(canaries)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        clients = _clients(plan, features, labels, inside, folder=Path(name), stack=stack)
        state = ServerState.initial(adapter)
        for number in range(1, plan.rounds + 1):
            done = run_round(plan, state, clients, run="audit", number=number, rng=_sources(seed))
            moved = state.adapter.vector() - done.state.adapter.vector()
            scores += _directions(state.adapter, features, labels) @ (moved * plan.normaliser / plan.learning_rate)
            state = done.state
        ledger = clients[0].ledger
        claimed = accounting.epsilon(ledger.read().events, delta=DELTA, view="server") if ledger else 0.0
    correct = auditing.one_run_guesses(scores, inside, guesses=GUESSES)
    return {
        "claimed": claimed,
        "gaussian": auditing.epsilon_of_mu(auditing.paired(scores[~inside], scores[inside]).mu(), DELTA),
        "any": auditing.one_run_epsilon(canaries=canaries, guesses=GUESSES, correct=correct, delta=DELTA),
    }


def _sources(seed: int) -> rounds.Sources:
    return lambda purpose, number, client: rng.seeded(seed, purpose, number, client)


def _clients(
    plan: Plan, features: Tensor, labels: Tensor, inside: npt.NDArray[np.bool_], *, folder: Path, stack: ExitStack
) -> list[Client]:
    """Deal the canaries that are in among the clients, and open a ledger for each."""
    clients = []
    for name, own in zip(plan.cohort, np.array_split(np.flatnonzero(inside), plan.clients), strict=True):
        ledger = Ledger.open(
            folder / f"{name}.sqlite", dataset=name, budget_epsilon=EPSILON, budget_delta=DELTA, filter="gaussian"
        )
        stack.callback(ledger.close)
        clients.append(Client(name=name, features=features[own], labels=labels[own], ledger=ledger))
    return clients


def _directions(adapter: Adapter, features: Tensor, labels: Tensor) -> npt.NDArray[np.float64]:
    """Return the unit gradients of records, shape ``(n, dim)``: the attacker's way of looking."""
    rows = adapter.record_gradients(features, labels).dense().numpy()
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if lengths.min() < 2 * CLIP:
        raise RuntimeError(f"a canary's gradient is {lengths.min():.3g} long; shorter than {2 * CLIP} it tests no clip")
    return np.asarray(rows / lengths)


def _plan(*, dim: int, records: int, rounds: int, secure: str) -> Plan:
    return Plan.create(
        classes=("a", "b"),
        model="none",
        model_digest="0" * 64,
        feature_dim=dim,
        adapter={"kind": "cachefl", "alpha": 4.0, "beta": 1.0, "keys_per_class": 1, "images_per_class": 2},
        clients=CLIENTS,
        rounds=rounds,
        expected_records=records,
        clip_norm=CLIP,
        learning_rate=1.0,
        momentum=0.0,
        epsilon=EPSILON,
        delta=DELTA,
        secure=secure,
        bits=48,
    )


def _cache(dim: int) -> CacheFL:
    features, _ = _records(2 * CLASSES, dim, seed=3)
    return CacheFL.from_generated(
        features,
        torch.arange(CLASSES).repeat_interleave(2),
        text=_records(CLASSES, dim, seed=4)[0],
        scale=1.0,
        alpha=4.0,
        beta=1.0,
        keys_per_class=1,
        shrinkage=None,
    )


def _records(count: int, dim: int, seed: int = 2) -> tuple[Tensor, Tensor]:
    drawn = torch.from_numpy(rng.seeded(seed, "records").generator().normal(size=(count, dim)))
    return torch.nn.functional.normalize(drawn, dim=1), torch.arange(count) % CLASSES
