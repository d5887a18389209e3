"""A round that bears poisoned vectors: random groups, a secure sum each, a gate, and a median of the groups' means.

What it does: within the bound on malicious clients, no vector moves a coordinate beyond what groups without a malicious
client say. What it does not: a vector as long as an honest one, in a direction that honest groups also vary in, still
moves the result; a majority of bad groups does what it likes; and each client hides among its group only.

It runs in this process. Every client's own noise protects it, whatever is summed with it: shares of noise that only the
whole cohort's sum adds up are refused, because here the server sees sums of fewer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from securefed.aggregation.base import secure_sum
from securefed.aggregation.coin import Tosser, toss
from securefed.aggregation.groups import Groups
from securefed.aggregation.parameters import DIGEST, Parameters, default_threshold
from securefed.aggregation.robust import Gate, Rule, combined
from securefed.aggregation.topology import choose
from securefed.encoding import RingVector, Vector
from securefed.errors import ConfigError, ProtocolError, ThresholdError
from securefed.plan import Plan
from securefed.rng import Source
from securefed.rounds import NOBODY, Client, Owners, ServerState, Sources, contribution, parameters_of, sum_of


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Robustness:
    """What a federation wants to bear; public.

    Attributes:
        size: Least number of clients in a group: the hiding set.
        faulty: Malicious clients.
        rule: What is made of the groups' means.
        gated: Whether groups beyond the gate are dropped.
        records: Largest number of records that a client contributes; the gate drops the groups of larger ones. None
            for an equal share of the expected records.
    """

    size: int
    faulty: int
    rule: Rule = "median"
    gated: bool = True
    records: int | None = None

    def gate(self, plan: Plan) -> Gate:
        """Return the gate on sums of groups under a plan."""
        records = plan.expected_records / plan.clients if self.records is None else self.records
        stddev = plan.encoding.step * plan.share_stddev
        return Gate(bound=records * plan.clip_norm * plan.steps, stddev=stddev, dim=plan.dim)


@final
@dataclass(frozen=True, slots=True, eq=False)
class GroupedRound:
    """What a round in groups leaves behind, all of it public.

    Attributes:
        state: The server's next state.
        groups: Who was summed with whom.
        lost: Groups without a sum, by place.
        dropped: Groups beyond the gate.
        looseness: How many times what honest vectors add up to passes the gate.
    """

    state: ServerState
    groups: Groups
    lost: tuple[int, ...]
    dropped: tuple[int, ...]
    looseness: float


@final
@dataclass(frozen=True, slots=True)
class Parted:
    """A cohort in groups, before anybody contributes.

    Attributes:
        groups: Who is summed with whom.
        parameters: What the parties of each group's sum are told.
        wanted: What shall be borne.
    """

    groups: Groups
    parameters: tuple[Parameters, ...]
    wanted: Robustness


def grouped_round(
    plan: Plan,
    state: ServerState,
    clients: Sequence[Client],
    wanted: Robustness,
    *,
    run: str,
    number: int,
    rng: Sources,
    owners: Owners = NOBODY,
) -> GroupedRound:
    """Run one round in groups.

    Args:
        plan: The public choices; each client's own noise, or no privacy.
        state: What the server carries over.
        clients: The cohort.
        wanted: What shall be borne.
        run: Name of the run.
        number: Of the round, from 1.
        rng: Where each client's noise, keys and nonce (purpose ``coin``) come from.
        owners: Policy and memory of the clients.

    Raises:
        BudgetExceeded: If a ledger refuses.
        ConfigError: If the plan's noise does not protect each client by itself, or there are too few groups; nothing
            was charged.
        PolicyViolation: If groups are below the clients' floor; nothing was charged.
        ProtocolError: If more groups are bad than were to be borne; the round is lost and its budget spent.
    """
    parted = part(plan, state, wanted, run=run, number=number, rng=rng, owners=owners)
    vectors = {
        each.name: contribution(plan, state.adapter, each, run=run, number=number, rng=rng("noise", number, each.name))
        for each in clients
    }
    return moved_by(plan, state, parted, vectors, rng=lambda name: rng("keys", number, name), owners=owners)


def part(
    plan: Plan,
    state: ServerState,
    wanted: Robustness,
    *,
    run: str,
    number: int,
    rng: Sources,
    owners: Owners = NOBODY,
) -> Parted:
    """Toss for the groups; see :func:`grouped_round`.

    The coin is in the context of every group's sum: clients that came to other groups have masks that do not cancel.
    """
    _check(plan)
    told = parameters_of(plan, state.adapter, run=run, number=number, previous=bytes(DIGEST))
    context = hashlib.sha256(repr(told.context).encode()).digest()
    coin = toss({name: Tosser(name, context, rng=rng("coin", number, name)) for name in plan.cohort})
    groups = Groups.drawn(plan.cohort, coin, size=wanted.size, faulty=wanted.faulty)
    bound = replace(told.context, previous=coin)
    parameters = tuple(
        replace(told, cohort=members, threshold=default_threshold(len(members)), context=bound)
        for members in groups.members
    )
    owners.policy.check_clip(plan.clip_norm)
    for each in parameters:
        owners.policy.check(each, choose(len(each.cohort), each.threshold))
    return Parted(groups, parameters, wanted)


def moved_by(
    plan: Plan,
    state: ServerState,
    parted: Parted,
    vectors: Mapping[str, RingVector],
    *,
    rng: Callable[[str], Source],
    owners: Owners = NOBODY,
) -> GroupedRound:
    """Add each group's vectors, and move the adapter along what the groups together say; see :func:`grouped_round`."""
    wanted, gate = parted.wanted, parted.wanted.gate(plan)
    sums = [_group_sum(plan, each, vectors, rng=rng, owners=owners) for each in parted.parameters]
    dropped = tuple(at for at, (total, count) in enumerate(sums) if wanted.gated and not gate.admits(total, count))
    if len(dropped) > wanted.faulty:
        raise ProtocolError(
            f"{len(dropped)} groups are beyond the gate, {wanted.faulty} were to be borne; the round is lost. Repeat it"
        )
    means = [total / count for at, (total, count) in enumerate(sums) if count and at not in dropped]
    mean = combined(means, faulty=wanted.faulty - len(dropped), rule=wanted.rule)
    lost = tuple(at for at, (_, count) in enumerate(sums) if not count)
    looseness = gate.looseness(parted.groups.hiding)
    return GroupedRound(state.moved(plan, plan.clients * mean), parted.groups, lost, dropped, looseness)


def _check(plan: Plan) -> None:
    if plan.setting not in ("none", "per-client"):
        raise ConfigError(
            f"setting is {plan.setting!r}, whose shares of noise add up in the whole cohort's sum only; sums of groups "
            "would show too little noise. Use 'per-client'"
        )
    if plan.secure not in ("mask", "plain"):
        raise ConfigError(f"secure is {plan.secure!r}; a decryptor opens one sum for each model. Use 'mask'")


def _group_sum(
    plan: Plan,
    parameters: Parameters,
    vectors: Mapping[str, RingVector],
    *,
    rng: Callable[[str], Source],
    owners: Owners,
) -> tuple[Vector, int]:
    """Return a group's decoded sum and how many vectors are in it; zeros and 0 if too few were left to open it."""
    sums = sum_of(plan, parameters, members=None, decryptor=None, owners=owners)
    roles = {name: sums.client(name, vectors[name], rng=rng(name)) for name in parameters.cohort}
    server = sums.server()
    try:
        total = secure_sum(server, roles)
    except ThresholdError:
        return np.zeros(plan.dim), 0
    return plan.encoding.decode(total), len(server.survivors)
