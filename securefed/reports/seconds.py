"""How long a round's secure sum will take each party: a prediction from small pieces of the same work, timed here.

Three small masked sums run: of few clients and coordinates, of more clients, and of more coordinates. What the second
takes longer grows with a client's neighbours (keys, shares, signatures), what the third takes longer with coordinates
and masks. For encrypted sums one plaintext is encrypted, added and opened, and that is what a whole vector takes as
often as it has plaintexts; their frames and signatures are left out. Networks and files are in neither, nor are
dropouts, whose masks a server has to make again. Every masked round is taken for one that deals keys and shares anew:
rounds that are served by an earlier deal take less.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np

from securefed.aggregation import encryption
from securefed.aggregation.base import secure_sum
from securefed.aggregation.encryption import Encryption, Scheme
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.parameters import Context, Parameters, default_threshold
from securefed.aggregation.seal import PublicKey, SecretKey, ring
from securefed.aggregation.topology import choose
from securefed.errors import CapacityError
from securefed.plan import Plan
from securefed.reports.record import Json
from securefed.rng import secure

SMALL, CLIENTS, DIM = (4, 64), 12, 1 << 17
"""Clients and coordinates of the smallest sum; more of the one, and more of the other. All graphs are complete."""

SCHEMES: tuple[Scheme, ...] = ("ckks", "bfv")

HOW = "predicted from small pieces of the same work, timed now on this machine; networks and dropouts are not in it"


@final
@dataclass(frozen=True, slots=True)
class Seconds:
    """Processor seconds.

    Attributes:
        client: Of one client.
        server: Of the server, for one client; in an encrypted sum what the decryptor does once is in ``opening``.
        opening: Of the decryptor, for the sum.
    """

    client: float
    server: float
    opening: float = 0.0


def seconds(plan: Plan) -> Json:
    """Return the predicted seconds of a round's sum for each kind, as plain values; None for a kind without room."""
    timed_masks(*SMALL, bits=plan.bits)  # what is slow the first time is over before anything is measured
    pieces = [timed_masks(*size, bits=plan.bits) for size in (SMALL, (CLIENTS, SMALL[1]), (SMALL[0], DIM))]
    found: dict[str, Seconds | None] = {"mask": masked(plan, *pieces)}
    for scheme in SCHEMES:
        try:
            chosen = encryption.choose(
                scheme, bits=plan.bits, summand=plan.encoding.largest_sum, weight=plan.clients, dim=plan.dim
            )
        except CapacityError:
            found[scheme] = None
        else:
            found[scheme] = encrypted(plan, chosen, timed_encryption(chosen))
    shown = {
        name: value for kind, each in found.items() for name, value in _named(kind, each, plan.clients, plan.rounds)
    }
    return shown | {"seconds_are": HOW}


def _named(kind: str, each: Seconds | None, clients: int, rounds: int) -> list[tuple[str, float | None]]:
    server = None if each is None else clients * each.server + each.opening
    whole = None if each is None or server is None else rounds * (clients * each.client + server)
    return [
        (f"seconds_of_a_client_{kind}", None if each is None else each.client),
        (f"seconds_of_the_server_{kind}", server),
        (f"seconds_of_all_rounds_in_one_process_{kind}", whole),
    ]


def masked(plan: Plan, small: Seconds, clients: Seconds, coordinates: Seconds) -> Seconds:
    """Return what a plan's masked sum takes, from a small one, one of more clients and one of more coordinates."""
    least = SMALL[0] - 1
    neighbours = choose(plan.clients, plan.threshold).degree
    wider = (neighbours - least) / (CLIENTS - SMALL[0])
    longer = plan.dim / (DIM - SMALL[1])
    return Seconds(
        client=_grown(small.client, clients.client, wider)
        + longer * (neighbours + 1) / (least + 1) * max(coordinates.client - small.client, 0.0),
        server=_grown(small.server, clients.server, wider) + longer * max(coordinates.server - small.server, 0.0),
    )


def _grown(small: float, more: float, share: float) -> float:
    """Return a straight line through two measurements; what noise makes fall does not fall."""
    return max(small + share * max(more - small, 0.0), 0.0)


def encrypted(plan: Plan, chosen: Encryption, one: Seconds) -> Seconds:
    """Return what a plan's encrypted sum takes, from one plaintext."""
    count = chosen.lanes.plaintexts(plan.dim)
    return Seconds(client=count * one.client, server=count * one.server, opening=count * one.opening)


@cache
def timed_masks(clients: int, dim: int, *, bits: int) -> Seconds:
    """Run a small masked sum and return what one client took, and the server for it, setup aside."""
    names = tuple(f"client-{place:02d}" for place in range(clients))
    context = Context(task="estimate", round=0, model=bytes(32), plan=bytes(32))
    public = Parameters(bits=bits, dim=dim, cohort=names, threshold=default_threshold(clients), context=context)
    sums, vector = MaskedSum(public), np.zeros(dim, np.uint64)
    roles = {name: sums.client(name, vector, rng=secure()) for name in names}
    server, spent = sums.server(), [0.0, 0.0]
    last = [time.process_time()]

    def clock(_phase: str, _client: str, direction: str, _message: bytes) -> None:
        """What ends with an answer is a client's work, everything else the server's."""
        now = time.process_time()
        spent[direction == "answer"] += now - last[0]
        last[0] = now

    secure_sum(server, roles, record=clock)
    spent[0] += time.process_time() - last[0]
    return Seconds(client=spent[1] / clients, server=spent[0] / clients)


@cache
def timed_encryption(chosen: Encryption) -> Seconds:
    """Encrypt, add and open one plaintext, and return what client, server and decryptor took."""
    here = ring(chosen)
    key = SecretKey(here)
    public, vector = PublicKey(here, key.public()), np.zeros(chosen.lanes.coordinates, np.uint64)
    sealed = public.encrypt(chosen.lanes.encode(vector))
    total = here.data.zeros(1)
    return Seconds(
        client=_each(lambda: public.encrypt(chosen.lanes.encode(vector))),
        server=_each(lambda: here.data.add(total, sealed[:1])),
        opening=_each(lambda: key.open(sealed)),
    )


def _each(work: Callable[[], object], times: int = 3) -> float:
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times
