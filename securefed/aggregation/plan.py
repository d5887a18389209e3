"""The PLAN message: the public parameters of a sum as bytes, and back."""

from __future__ import annotations

from securefed.aggregation.identity import Roster
from securefed.aggregation.members import Members
from securefed.aggregation.parameters import Context, Deal, Parameters
from securefed.aggregation.refusals import Malformed, WrongContext
from securefed.aggregation.topology import Topology
from securefed.aggregation.wire import decode, encode


def write_plan(parameters: Parameters, topology: Topology, roster: Roster) -> bytes:
    """Return the payload of a PLAN: every public parameter, deterministically encoded.

    The cohort is a bitmap over the roster's names in their order.
    """
    context = parameters.context
    seats = {name: seat for seat, name in enumerate(roster.names)}
    cohort = Members.of((seats[name] for name in parameters.cohort), len(seats))
    numbers = [context.round, context.attempt]
    numbers += [parameters.bits, parameters.dim, parameters.limit or 0, parameters.threshold]
    numbers += [topology.degree, topology.share_threshold, topology.witnesses, topology.witness_threshold]
    numbers += [context.deal.first, context.deal.attempt, context.deal.rounds]
    digests = [context.plan, context.model, context.previous, roster.root]
    return encode(numbers, [context.task.encode(), *digests, cohort.to_bytes()])


def read_plan(payload: bytes, roster: Roster) -> Parameters:
    """Return the parameters of a PLAN.

    Raises:
        Malformed: If the bytes are not a plan.
        WrongContext: If it was made for another roster.
        ConfigError: If it holds parameters under which no sum could be exact.
    """
    numbers, strings = decode(payload, numbers=13, strings=6)
    task, plan, model, previous, root, bitmap = strings
    if root != roster.root:
        raise WrongContext("the plan was made for another roster than the pinned one")
    try:
        name = task.decode()
    except UnicodeDecodeError as error:
        raise Malformed("the task's name is not UTF-8") from error
    cohort = Members.read(bitmap, len(roster.names))
    alone, deal = Deal(first=numbers[0], attempt=numbers[1]), Deal(*numbers[10:])
    context = Context(
        task=name,
        round=numbers[0],
        attempt=numbers[1],
        plan=plan,
        model=model,
        previous=previous,
        dealt=None if deal == alone else deal,
    )
    topology = Topology(
        degree=numbers[6], share_threshold=numbers[7], witnesses=numbers[8], witness_threshold=numbers[9]
    )
    return Parameters(
        bits=numbers[2],
        dim=numbers[3],
        limit=numbers[4] or None,
        threshold=numbers[5],
        cohort=tuple(roster.names[seat] for seat in cohort),
        context=context,
        topology=topology,
    )
