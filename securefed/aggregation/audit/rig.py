"""A masked sum in one process with an adversary on the wire and at the server's desk.

Honest parties are the installed package's; the adversary sees every message, may change, drop or replace it, and holds
the server's signing key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from securefed.aggregation.hand import Hand
from securefed.aggregation.identity import Federation
from securefed.aggregation.journal import Journal
from securefed.aggregation.masked_client import LEAST, MaskedClient
from securefed.aggregation.masked_server import MaskedServer
from securefed.aggregation.parameters import Context, Deal, Parameters, default_threshold
from securefed.aggregation.policy import Policy
from securefed.aggregation.session import Session
from securefed.aggregation.wire import Kind
from securefed.encoding import RingVector
from securefed.errors import SecureFedError
from securefed.rng import Source, secure, seeded

Tamper = Callable[[str, str, bytes], bytes | None]
"""Called with phase, client and message; returns what arrives instead, or None if nothing does."""

REQUESTS = {
    "advertise": Kind.PLAN,
    "share": Kind.KEYS,
    "mask": Kind.INBOX,
    "agree": Kind.SURVIVORS,
    "reveal": Kind.SIGNATURES,
}
ANSWERS = {phase: Kind(kind + 1) for phase, kind in REQUESTS.items()}
CONTEXT = Context(task="audit", round=1, model=bytes(32), plan=bytes(32))


def keep(phase: str, client: str, message: bytes) -> bytes | None:
    """Change nothing."""
    return message


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """How a sum ended.

    Attributes:
        total: The sum, or None if there is none.
        survivors: Whose vectors are in it.
        error: Why there is none.
        refused: What each honest client refused, by name.
        refusals: What the server put aside, by name.
        exact: Whether the total is that of the survivors; True if there is none.
    """

    total: RingVector | None
    survivors: tuple[str, ...]
    error: SecureFedError | None
    refused: Mapping[str, SecureFedError]
    refusals: Mapping[str, str]
    exact: bool

    def describe(self) -> str:
        """Return what happened, in words."""
        reasons = sorted({type(error).__name__ for error in self.refused.values()})
        parts = [f"{len(self.refused)} clients refused ({', '.join(reasons)})"] if self.refused else []
        aside = sorted({reason.split(":")[0] for reason in self.refusals.values()})
        parts += [f"server put {len(self.refusals)} aside ({', '.join(aside)})"] if self.refusals else []
        ending = f"aborted ({type(self.error).__name__})" if self.error else f"sum of {len(self.survivors)}"
        return "; ".join([*parts, ending if self.exact else f"WRONG {ending}"])


@final
class Rig:
    """One masked sum that an adversary can reach into.

    Args:
        clients: Size of the cohort.
        dim: Length of the vectors.
        members: Identities; new ones by default.
        policy: The clients' floor.
        journals: The clients' memories.
        coins: Where a client's secrets come from, by name; the operating system by default.
        vectors: What clients contribute; by default uniform vectors that are the same in every rig.
        parameters: Of the sum, instead of those that follow from the above.
        context: What the sum belongs to.
        before: The rig of the round before, whose parties go on with what was dealt there.
    """

    def __init__(
        self,
        clients: int = 5,
        *,
        dim: int = 8,
        members: Federation | None = None,
        policy: Policy = LEAST,
        journals: Mapping[str, Journal] | None = None,
        coins: Callable[[str], Source] = lambda name: secure(),
        vectors: Mapping[str, RingVector] | None = None,
        parameters: Parameters | None = None,
        context: Context = CONTEXT,
        before: Rig | None = None,
    ) -> None:
        names = tuple(f"client-{place}" for place in range(clients))
        self.parameters = parameters or Parameters(
            bits=32, dim=dim, cohort=names, threshold=default_threshold(clients), context=context
        )
        self.members = members or Federation.throwaway(self.parameters.cohort, rng=secure())
        self.session = Session(self.parameters, self.members.roster)
        self.vectors = vectors or {name: small_vector(name, dim) for name in self.parameters.cohort}
        dealt = before.server.dealt if before else None
        self.server: MaskedServer = MaskedServer(self.session, self.members.server, dealt=dealt)
        self.hands: dict[str, Hand] = before.hands if before else {name: Hand() for name in self.parameters.cohort}
        self.clients: dict[str, MaskedClient] = {}
        for name in self.parameters.cohort:
            identity, journal = self.members.clients[name], (journals or {}).get(name)
            self.clients[name] = MaskedClient(
                self.session,
                identity,
                self.vectors[name],
                rng=coins(name),
                policy=policy,
                journal=journal,
                hand=self.hands[name],
            )
        self.wire: dict[tuple[str, str, str], bytes] = {}

    def run(self, *, request: Tamper = keep, answer: Tamper = keep) -> Outcome:
        """Run every phase; a client that refuses has dropped out."""
        refused: dict[str, SecureFedError] = {}
        try:
            while requests := self.server.requests():
                self.server.collect(self._exchange(requests, refused, request, answer))
        except SecureFedError as error:
            return Outcome(None, self.server.survivors, error, refused, self.server.refusals, exact=True)
        total, survivors = self.server.total(), self.server.survivors
        return Outcome(total, survivors, None, refused, self.server.refusals, self.is_exact(total, survivors))

    def run_until(self, phase: str, *, lost: Collection[tuple[str, str]] = ()) -> Mapping[str, bytes]:
        """Run honestly up to a phase, losing some answers on the way, and return its requests."""
        while self.server.phase != phase:
            requests = self.server.requests()
            heard = {name: data for name, data in requests.items() if (self.server.phase, name) not in lost}
            self.server.collect(self._exchange(heard, {}, keep, keep))
        return self.server.requests()

    def is_exact(self, total: RingVector, survivors: tuple[str, ...]) -> bool:
        """Tell whether a total is the survivors' sum, by Python's integers."""
        modulus = 2**self.parameters.bits
        columns = zip(*(self.vectors[name].tolist() for name in survivors), strict=True)
        return total.tolist() == [sum(column) % modulus for column in columns]

    @property
    def state(self) -> Any:
        """What the server knows at this moment: the adversary sits at its desk."""
        return self.server._state

    def mind(self, name: str) -> Any:
        """Return what a client knows at this moment: a malicious one knows it too."""
        return self.clients[name]._state

    def change_mind(self, name: str, **changes: object) -> None:
        """Change what a malicious client knows."""
        self.clients[name]._state = replace(self.mind(name), **changes)

    def place(self, name: str) -> int:
        """Return a client's place."""
        return self.parameters.index(name)

    def request_payload(self, phase: str, client: str, data: bytes) -> bytes:
        """Return the payload of a request."""
        server, place = self.session.server, self.place(client)
        return self.session.read(REQUESTS[phase], data, sender=server, receiver=place)[0]

    def answer_payload(self, phase: str, client: str, data: bytes) -> bytes:
        """Return the payload of an answer."""
        return self.session.read(ANSWERS[phase], data, sender=self.place(client), receiver=self.session.server)[0]

    def forge_request(self, phase: str, client: str, payload: bytes) -> bytes:
        """Return a request with the server's true signature."""
        sender, receiver = self.session.server, self.place(client)
        by = self.members.server
        return self.session.write(REQUESTS[phase], [payload], by=by, sender=sender, receiver=receiver)[0]

    def forge_answer(self, phase: str, client: str, payload: bytes) -> bytes:
        """Return an answer with the client's true signature: what a malicious client can send."""
        by, sender = self.members.clients[client], self.place(client)
        return self.session.write(ANSWERS[phase], [payload], by=by, sender=sender, receiver=self.session.server)[0]

    def _exchange(
        self, requests: Mapping[str, bytes], refused: dict[str, SecureFedError], request: Tamper, answer: Tamper
    ) -> dict[str, bytes]:
        phase, answers = self.server.phase, {}
        for name, data in requests.items():
            self.wire[phase, name, "request"] = data
            if (arrived := request(phase, name, data)) is None:
                continue
            try:
                sent = self.clients[name].answer(arrived)
            except SecureFedError as error:
                refused[name] = error
                continue
            self.wire[phase, name, "answer"] = sent
            if (returned := answer(phase, name, sent)) is not None:
                answers[name] = returned
        return answers


def small_vector(name: str, dim: int) -> RingVector:
    """Return a vector of numbers below 1,000 that belongs to a name."""
    return seeded(0, name).uint64(dim) % np.uint64(1000)


def in_context(
    rig: Rig, *, journals: Mapping[str, Journal] | None = None, cohort: tuple[str, ...] = (), **changes: object
) -> Rig:
    """Return a rig of the same parties, or some of them, in another context."""
    context, names = replace(rig.parameters.context, **changes), cohort or rig.parameters.cohort  # type: ignore[arg-type]
    threshold = default_threshold(len(names))
    return Rig(
        parameters=replace(rig.parameters, context=context, cohort=names, threshold=threshold),
        members=rig.members,
        vectors=rig.vectors,
        journals=journals,
    )


def dealt_for(rounds: int, clients: int = 5, *, dim: int = 8) -> Rig:
    """Return the rig of the first of several rounds that one deal serves."""
    deal = Deal(first=CONTEXT.round, rounds=rounds)
    vectors = {f"client-{place}": small_vector(f"client-{place}", dim) for place in range(clients)}
    return Rig(clients, dim=dim, vectors=vectors, context=replace(CONTEXT, dealt=deal))


def following(rig: Rig, *, journals: Mapping[str, Journal] | None = None, **changes: object) -> Rig:
    """Return the rig of the round after another one, with what was dealt there."""
    before = rig.parameters.context
    model = bytes([before.round]) * 32
    context = replace(before, round=before.round + 1, model=model, previous=rig.server.transcript.head)
    return Rig(
        parameters=replace(rig.parameters, context=replace(context, **changes)),  # type: ignore[arg-type]
        members=rig.members,
        vectors=rig.vectors,
        journals=journals,
        before=rig,
    )
