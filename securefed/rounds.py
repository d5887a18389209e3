"""One whole round in this process, on one page: the executable specification.

Every engine runs the same roles in the same order; what they sum is bit-equal to what :func:`run_round` sums.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, final

import numpy as np
from safetensors.numpy import save

from securefed.aggregation.base import SecureSum, never, secure_sum, unrecorded
from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.encrypted_server import EncryptedServer
from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.identity import Federation
from securefed.aggregation.journal import Journal
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.masked_client import LEAST
from securefed.aggregation.masked_server import MaskedServer
from securefed.aggregation.parameters import DIGEST, Context, Deal, Parameters
from securefed.aggregation.plain import PlainSum
from securefed.aggregation.policy import Policy
from securefed.aggregation.table import Table
from securefed.aggregation.topology import choose
from securefed.encoding import Integers, RingVector, Vector
from securefed.errors import ConfigError
from securefed.plan import Plan
from securefed.privacy.book import SEEDED
from securefed.privacy.events import Event
from securefed.privacy.ledger import Ledger
from securefed.privacy.release import release
from securefed.privacy.sampling import Batches, FullBatch, Indices
from securefed.rng import Source
from securefed.stopwatch import Stage, untimed
from securefed.training import check, clipped_sum, clipped_update, compared_sum

if TYPE_CHECKING:
    from torch import Tensor

    from securefed.adapters.base import Adapter


Sources: TypeAlias = Callable[[str, int, str], Source]
"""Called with a purpose (``noise`` or ``keys``), a round and a client: where that client's randomness comes from."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """What one client holds and nobody else sees.

    Attributes:
        name: Its name in the cohort.
        features: Features of its images, shape ``(n, feature_dim)``.
        labels: Their classes, shape ``(n,)``.
        ledger: Of its data set; None only in a run without privacy.
        batches: What draws its batches, for the whole run; None for every record in every step.
    """

    name: str
    features: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    ledger: Ledger | None
    batches: Batches | None = None


@final
@dataclass(frozen=True, slots=True)
class Owners:
    """What the clients' owners decided and what their clients remember, which no message of a server can change.

    Attributes:
        policy: The floor of every client.
        journals: What clients remember of earlier sums, by name; those without one remember nothing.
    """

    policy: Policy = LEAST
    journals: Mapping[str, Journal] = field(default_factory=dict)


NOBODY = Owners()


@final
@dataclass(frozen=True, slots=True, eq=False)
class ServerState:
    """What the server carries from one round to the next: public values only.

    Attributes:
        adapter: The current adapter.
        velocity: Running sum of updates (momentum), shape ``(dim,)``.
    """

    adapter: Adapter
    velocity: Vector

    @classmethod
    def initial(cls, adapter: Adapter) -> ServerState:
        """Start from a public adapter at rest."""
        return cls(adapter=adapter, velocity=np.zeros_like(adapter.vector()))

    def moved(self, plan: Plan, total: Vector) -> ServerState:
        """Take one step along the sum of what the clients added, divided by a public number of units."""
        velocity = plan.momentum * self.velocity + total / plan.normaliser
        adapter = self.adapter.moved_to(self.adapter.vector() - plan.learning_rate * velocity)
        return ServerState(adapter=adapter.settled(), velocity=velocity)

    def released(self) -> ServerState:
        """Return what is left after the last round: the adapter as the server releases it."""
        return replace(self, adapter=self.adapter.released())


def contribution(
    plan: Plan,
    adapter: Adapter,
    client: Client,
    *,
    run: str,
    number: int,
    rng: Source,
    stage: Stage = untimed,
    repeated: bool = False,
) -> RingVector:
    """Return what one client puts into the sum: charged, clipped, quantised, then noised.

    A repeated round uses charges that are there already. That is safe only where the client's journal shows that no
    vector that they paid for has left, or it will refuse to let this one leave: one charge, one vector.

    Every step goes through :func:`securefed.privacy.release.release`, which charges the client's ledger before it looks
    at a record.

    Raises:
        BudgetExceeded: If the client's ledger refuses; its records have not been touched.
        ConfigError: If the adapter is not public, a private plan meets a client without a ledger, or a sampling plan
            one without batches; nothing was charged.
    """
    check(adapter, client.features, client.labels)  # here already: what is refused later was charged
    ask = partial(_ask, plan, client, run=run, number=number, rng=rng, stage=stage, repeated=repeated)
    query = _update if plan.unit == "client" else _gradients
    total = ask(partial(query, plan, adapter, client), step=1)
    for step in range(2, plan.steps + 1):
        # What was released so far is noisy already: moving along it costs nothing more.
        local = adapter.moved_to(
            adapter.vector() - plan.learning_rate * plan.clients * plan.encoding.step * total / plan.normaliser
        )
        total += ask(partial(_gradients, plan, local, client), step=step)
    with stage("quantise"):
        return plan.encoding.to_ring(total)


def _gradients(plan: Plan, adapter: Adapter, client: Client, records: Indices) -> Vector:
    if plan.loss == "info-nce":
        return compared_sum(adapter, client.features, client.labels, clip_norm=plan.clip_norm)
    features, labels = client.features, client.labels
    if len(records) < len(labels):  # a record is in a batch once: as many records as there are are all of them
        features, labels = features[records], labels[records]
    return clipped_sum(adapter, features, labels, clip_norm=plan.clip_norm)


def _update(plan: Plan, adapter: Adapter, client: Client, _: Indices) -> Vector:
    return clipped_update(
        adapter,
        client.features,
        client.labels,
        clip_norm=plan.clip_norm,
        steps=plan.local_steps,
        learning_rate=plan.learning_rate,
    )


def _ask(
    plan: Plan,
    client: Client,
    query: Callable[[Indices], Vector],
    *,
    run: str,
    number: int,
    step: int,
    rng: Source,
    stage: Stage,
    repeated: bool,
) -> Integers:
    """Return the answer to one query about a client's records, noisy unless the plan is not private."""

    def answer(records: Indices) -> Integers:
        with stage("train"):
            found = query(records)
        with stage("quantise"):
            return plan.encoding.to_integers(found)

    if not plan.private:
        return answer(np.arange(len(client.labels)))
    ledger, batches = client.ledger, client.batches
    if ledger is None:
        raise ConfigError(f"{client.name} has no ledger; a private plan charges one before it touches data")
    if batches is None:
        if plan.sampling != "full":
            raise ConfigError(f"{client.name} has no batches; give it plan.batches(run) once, for the whole run")
        batches = FullBatch(plan.event)

    # In the client's own, signed ledger: nobody else can make a run with seeded noise look like one without.
    purpose = "train" if rng.is_secret else SEEDED

    def charge(event: Event) -> None:
        digest = plan.digest
        with stage("ledger"):
            if not (repeated and ledger.holds(event, run=run, round=number, step=step, plan_digest=digest)):
                ledger.charge(event, run=run, round=number, purpose=purpose, plan_digest=digest)

    with stage("noise"):
        units = 1 if plan.unit == "client" else len(client.labels)
        batch = batches.draw(units, number=(number - 1) * plan.steps + step, rng=rng)
        return release(batch, answer, charge=charge, rng=rng)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """What a round leaves behind, all of it public.

    Attributes:
        state: The server's next state.
        survivors: The clients whose contributions are in the sum.
        transcript: Lines of the sum's signed record; empty where the sum keeps none.
        head: What the next round's context holds: the record's last hash.
    """

    state: ServerState
    survivors: tuple[str, ...]
    transcript: tuple[str, ...]
    head: bytes


def deal_of(plan: Plan, *, first: int, attempt: int) -> Deal:
    """Return the deal that begins with a round: it serves as many as the plan says, or are left."""
    return Deal(first, attempt, min(plan.rounds_per_deal, plan.rounds - first + 1))


def parameters_of(
    plan: Plan,
    adapter: Adapter,
    *,
    run: str,
    number: int,
    previous: bytes,
    attempt: int = 0,
    deal: Deal | None = None,
) -> Parameters:
    """Return what every party of one round's sum is told, bound to this plan, run, round, adapter and earlier record.

    Keys were dealt in an earlier round, or are for this round alone.

    A client that was given another plan or another adapter derives other masks: the sum is then noise and is refused,
    not opened.
    """
    context = Context(
        task=run,
        round=number,
        model=_digest(adapter),
        plan=bytes.fromhex(plan.digest),
        attempt=attempt,
        previous=previous,
        dealt=deal,
    )
    return parameters_in(plan, context)


def parameters_in(plan: Plan, context: Context) -> Parameters:
    """Return the parameters of a sum of this plan in a context."""
    return Parameters(
        bits=plan.bits,
        dim=plan.dim,
        cohort=plan.cohort,
        threshold=plan.threshold,
        context=context,
        limit=plan.encoding.largest_sum,
    )


def _digest(adapter: Adapter) -> bytes:
    """Return the SHA-256 of everything that clients are told of an adapter."""
    kept = adapter.kept()
    if kept.keys() == {"vector"}:
        return hashlib.sha256(kept["vector"].tobytes()).digest()
    return hashlib.sha256(save({name: np.ascontiguousarray(tensor) for name, tensor in kept.items()})).digest()


def sum_of(
    plan: Plan,
    parameters: Parameters,
    *,
    members: Federation | None,
    decryptor: Decryptor | None,
    owners: Owners,
    table: Table | None = None,
) -> SecureSum:
    """Return the secure sum of one round, of the plan's kind."""
    if plan.secure == "mask":
        return MaskedSum(parameters, members, policy=owners.policy, journals=owners.journals, table=table or Table())
    if plan.secure == "plain":
        return PlainSum(parameters, owners.journals)
    return HomomorphicSum(
        parameters,
        members,
        scheme=plan.secure,
        decryptor=decryptor,
        policy=owners.policy,
        journals=owners.journals,
    )


def run_round(
    plan: Plan,
    state: ServerState,
    clients: Sequence[Client],
    *,
    run: str,
    number: int,
    rng: Sources,
    members: Federation | None = None,
    decryptor: Decryptor | None = None,
    owners: Owners = NOBODY,
    previous: bytes = bytes(DIGEST),
    attempt: int = 0,
    table: Table | None = None,
    lost: Callable[[str, str], bool] = never,
    record: Callable[[str, str, str, bytes], None] = unrecorded,
    stage: Stage = untimed,
) -> Round:
    """Run one round: every client contributes, the server learns a noisy sum and moves the adapter.

    Args:
        plan: The public choices.
        state: What the server carries over.
        clients: The cohort, in the plan's order.
        run: Name of the run, for ledger and context.
        number: Of the round, from 1.
        rng: Where each client's noise and keys come from.
        members: Identities of the parties; by default ones that live for this round.
        decryptor: Who decrypts under ``ckks`` and ``bfv``; by default one that lives for this round.
        owners: Policy and memory of the clients; by default the least policy and no memory.
        previous: Head of the record of the round before; zeros for the first.
        attempt: Number of earlier attempts at this round, whose charges it uses where a client's journal will refuse a
            second vector.
        table: What was dealt in earlier rounds, and is kept for later ones; by default keys are for this round alone.
        lost: Called with phase and client; True if that answer never arrives.
        record: Sees every message.
        stage: Times the stages: ``ledger``, ``train``, ``quantise``, ``noise``, ``protect``, ``sum``, ``decode``.

    Returns:
        What the round leaves behind.

    Raises:
        BudgetExceeded: If a ledger refuses.
        ConfigError: If the clients are not the plan's cohort; nothing was charged.
        PolicyViolation: If the plan is below the clients' floor; nothing was charged.
        ThresholdError: If too few clients answer; the round is lost and its budget spent.
    """
    owners.policy.check_clip(plan.clip_norm)
    if (names := tuple(client.name for client in clients)) != plan.cohort:
        raise ConfigError(
            f"{len(names)} clients came, {', '.join(names[:3])} ..; the plan is for {plan.clients}: "
            f"{', '.join(plan.cohort[:3])} .. in this order. Noise is sized for its own cohort: make another plan"
        )
    deal = None if table is None else table.deal or deal_of(plan, first=number, attempt=attempt)
    parameters = parameters_of(
        plan, state.adapter, run=run, number=number, previous=previous, attempt=attempt, deal=deal
    )
    sums = sum_of(plan, parameters, members=members, decryptor=decryptor, owners=owners, table=table)
    if plan.secure != "plain":
        owners.policy.check(parameters, choose(plan.clients, plan.threshold))
    roles = {}
    for client in clients:
        noise, keys = (rng(purpose, number, client.name) for purpose in ("noise", "keys"))
        repeated = attempt > 0 and client.name in owners.journals
        vector = contribution(
            plan, state.adapter, client, run=run, number=number, rng=noise, stage=stage, repeated=repeated
        )
        roles[client.name] = sums.client(client.name, vector, rng=keys)
    server = sums.server()
    total = secure_sum(server, roles, lost=lost, record=record, stage=stage)
    if table is not None and isinstance(server, MaskedServer):
        table.keep(server)
    record_of_sum = server.transcript if isinstance(server, MaskedServer) else None
    head = record_of_sum.head if record_of_sum else server.head if isinstance(server, EncryptedServer) else previous
    with stage("decode"):
        moved = state.moved(plan, plan.encoding.decode(total))
    return Round(
        state=moved,
        survivors=server.survivors,
        transcript=tuple(record_of_sum.lines) if record_of_sum else (),
        head=head,
    )
