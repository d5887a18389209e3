"""Single one client out of a secure sum by giving the others a model at which they have nothing to add.

At keys that are not numbers no gradient is finite, and such records are left out: the others add zeros, and the sum is
the target's vector. In the control, clients agree on one context whatever adapter they were given, as if masks were not
bound to it; in the claimed arm each derives its context from its own adapter, as the package does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from securefed.aggregation.base import ClientRole, SecureSum, ServerRole
from securefed.aggregation.identity import Federation
from securefed.aggregation.parameters import DIGEST
from securefed.encoding import RingVector, Vector
from securefed.errors import ProtocolError
from securefed.plan import Plan
from securefed.rng import seeded
from securefed.rounds import NOBODY, Client, contribution, parameters_of, sum_of
from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import MALICIOUS_SERVER
from securefed.threat_models.game import Arm, Measured, Row, rate

if TYPE_CHECKING:
    from securefed.adapters.base import Adapter

CLIENTS = 4
TARGET = "client-0"
BOUND = "masks bound to the model"


def play_once(arm: Arm, seed: int, trial: int) -> bool:
    """Return whether the server holds the target's vector at the end."""
    plan = cohorts.plan_of(arm, clients=CLIENTS, records=CLIENTS)
    rng = seeded(seed, "isolation", trial)
    records = cohorts.shards(cohorts.deal(rng, clients=plan.cohort, each=1, among=cohorts.exposed()))
    members = Federation.throwaway(plan.cohort, rng=rng)
    honest = cohorts.world().adapter
    empty = honest.moved_to(np.full(plan.dim, np.nan))
    sums = {name: _sum(plan, honest if name == TARGET else empty, members) for name in plan.cohort}
    agreed = sums[TARGET]
    roles = {}
    for name, own in records.items():
        client = Client(name, *own, cohorts.UNMETERED)
        vector = contribution(plan, honest if name == TARGET else empty, client, run="game", number=1, rng=rng)
        roles[name] = (sums[name] if arm.defences == BOUND else agreed).client(name, vector, rng=rng)
    total = opened(agreed.server(), roles)
    return total is not None and is_target(plan.encoding.decode(total), cohorts.gradients(*records[TARGET])[0])


def _sum(plan: Plan, adapter: Adapter, members: Federation) -> SecureSum:
    parameters = parameters_of(plan, adapter, run="game", number=1, previous=bytes(DIGEST))
    return sum_of(plan, parameters, members=members, decryptor=None, owners=NOBODY)


def opened(server: ServerRole, roles: Mapping[str, ClientRole]) -> RingVector | None:
    """Run a sum in which a client that refuses has dropped out; None if it cannot be opened."""
    try:
        while requests := server.requests():
            answers = {name: answer for name, request in requests.items() if (answer := _asked(roles[name], request))}
            server.collect(answers)
        return server.total()
    except ProtocolError:
        return None


def _asked(role: ClientRole, request: bytes) -> bytes:
    try:
        return role.answer(request)
    except ProtocolError:
        return b""


def is_target(found: Vector, target: Vector) -> bool:
    """Tell whether a vector points where the target's does."""
    return bool(found @ target > 0.99 * np.linalg.norm(found) * np.linalg.norm(target))


def play(arm: Arm, trials: int, seed: int) -> Measured:
    """Return how often the server gets the target's vector."""
    return rate(sum(play_once(arm, seed, trial) for trial in range(trials)), trials, chance=0.0)


ROW = Row(
    id="T09",
    title="single a client out by giving the others another model",
    adversary=MALICIOUS_SERVER,
    measure="share of targets whose vector comes out",
    play=play,
    arms=(
        Arm(defences="masks bound to nothing", claim="control", limit=0.5, secure="mask"),
        Arm(defences=BOUND, claim="claimed", limit=0.0, secure="mask"),
    ),
    trials={"smoke": 10, "full": 30},
    covers=frozenset({"mask"}),
)
