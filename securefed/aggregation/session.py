"""What every party of one masked sum knows: parameters, roster, context digest; how frames are signed and opened."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import final

from securefed.aggregation.graph import Graph
from securefed.aggregation.identity import SERVER, Identity, Roster, verify
from securefed.aggregation.keys import digest, label, payload_hash
from securefed.aggregation.members import Members
from securefed.aggregation.messages import frame_size
from securefed.aggregation.parameters import DIGEST, Parameters
from securefed.aggregation.plan import write_plan
from securefed.aggregation.refusals import WrongContext, WrongSender
from securefed.aggregation.topology import Topology, choose
from securefed.aggregation.wire import Buffer, Kind, array_head, decode, encode, frame, string_head, unframe
from securefed.errors import ConfigError

DEALING = frozenset({Kind.ADVERT, Kind.KEYS, Kind.SHARES, Kind.INBOX})
"""Messages that belong to a deal; all others belong to one round."""

_MESSAGE = {kind: f"message {kind.name}" for kind in Kind}
"""Whose label a statement begins with."""

CHECK_BITS = 64
"""How many bits the count coordinates have together: masks that do not cancel pass with probability 2**-64."""


@final
@dataclass(frozen=True)
class Session:
    """One masked sum as every party sees it.

    Attributes:
        parameters: The public parameters.
        roster: Who is who.
    """

    parameters: Parameters
    roster: Roster

    def __post_init__(self) -> None:
        """Refuse a cohort with a client that nobody vouches for."""
        if unknown := set(self.parameters.cohort) - set(self.roster.names):
            raise ConfigError(f"{sorted(unknown)} are in the cohort but not in the roster")
        if self.topology.holders > self.size or self.topology.witnesses > self.size:
            raise ConfigError(f"{self.topology} does not fit a cohort of {self.size} clients")

    @cached_property
    def size(self) -> int:
        """How many clients are in the cohort."""
        return len(self.parameters.cohort)

    @property
    def server(self) -> int:
        """The server's place: one past the last client."""
        return self.size

    @cached_property
    def topology(self) -> Topology:
        """How many neighbours, shares and witnesses there are."""
        return self.parameters.topology or choose(self.size, self.parameters.threshold)

    @cached_property
    def everybody(self) -> Members:
        """The whole cohort."""
        return Members.everybody(self.size)

    @cached_property
    def checks(self) -> int:
        """How many coordinates beyond the vector hold the number one, so that their sums count the summands."""
        return -(-CHECK_BITS // self.parameters.bits)

    @property
    def length(self) -> int:
        """How many coordinates travel: the vector's and the checks."""
        return self.parameters.dim + self.checks

    @cached_property
    def plan(self) -> bytes:
        """The payload of the PLAN."""
        return write_plan(self.parameters, self.topology, self.roster)

    @cached_property
    def context(self) -> bytes:
        """SHA-256 of the plan: enters every mask, and every signature of this round."""
        return hashlib.sha256(label("masked sum", self.plan)).digest()

    @cached_property
    def deal(self) -> bytes:
        """SHA-256 of what the plans of all rounds of a deal say: enters every box, commitment and signature of it.

        It is the first round's plan without what is not known yet when keys are dealt for the others: the model, and
        the record of the round before.
        """
        deal, context = self.parameters.context.deal, self.parameters.context
        common = replace(context, round=deal.first, attempt=deal.attempt, model=bytes(DIGEST), previous=bytes(DIGEST))
        plan = write_plan(replace(self.parameters, context=common), self.topology, self.roster)
        return hashlib.sha256(label("deal", plan)).digest()

    @property
    def slot(self) -> int:
        """Which of the deal's rounds this is."""
        return self.parameters.context.slot

    @property
    def is_dealing(self) -> bool:
        """Whether this round begins with a deal; otherwise its keys are there already."""
        return self.slot == 0

    @cached_property
    def locks(self) -> bool:
        """Whether survivors agree and reveal in one phase, by locks (see ``lock``).

        They do in a deal for several rounds, where everybody is everybody's neighbour and witness: then any two have
        a secret to make locks with.
        """
        everybody = self.topology.holders >= self.size and self.topology.witnesses >= self.size
        return everybody and self.parameters.context.deal.rounds > 1

    def context_of(self, kind: Kind) -> bytes:
        """Return what a kind of message is bound to: the deal, or the round."""
        return self.deal if kind in DEALING else self.context

    def name(self, place: int) -> str:
        """Return the name of a party."""
        return SERVER if place == self.server else self.parameters.cohort[place]

    def frame_size(self, kind: Kind) -> int:
        """Return the one size that frames of a kind have."""
        return self._sizes(kind)

    @cached_property
    def _sizes(self) -> Callable[[Kind], int]:
        of = partial(
            frame_size,
            clients=self.size,
            rostered=len(self.roster.names),
            topology=self.topology,
            dim=self.length,
            bits=self.parameters.bits,
            rounds=self.parameters.context.deal.rounds,
            locks=self.locks,
        )
        return cache(of)

    def statement(self, kind: Kind, sender: int, receiver: int, checksum: bytes) -> bytes:
        """Return what is signed for a message: kind, context, sender, receiver and the payload's hash.

        A client's answer is for everybody and has the server's place as receiver.
        """
        return label(_MESSAGE[kind], self.context_of(kind), sender, receiver) + checksum

    def write(
        self, kind: Kind, payload: Sequence[Buffer], *, by: Identity, sender: int, receiver: int
    ) -> tuple[bytes, bytes]:
        """Return a signed frame, and the payload's hash with the signature."""
        length = sum(len(part) for part in payload)
        return self.stream(kind, payload, length=length, by=by, sender=sender, receiver=receiver)

    def stream(
        self, kind: Kind, payload: Iterable[Buffer], *, length: int, by: Identity, sender: int, receiver: int
    ) -> tuple[bytes, bytes]:
        """Return what :meth:`write` returns, for a payload that is made while it is written.

        Each part is hashed and copied into the frame before the next is asked for, while it is still in the cache; all
        parts together have ``length`` bytes.
        """
        checksum, signature = payload_hash(), b""

        def body() -> Iterator[Buffer]:
            nonlocal signature
            yield array_head(5) + encode([sender, receiver], [self.context_of(kind)])[1:] + string_head(length)
            for part in payload:
                checksum.update(part)
                yield part
            signature = by.sign(self.statement(kind, sender, receiver, checksum.digest()))
            yield string_head(len(signature)) + signature

        return frame(kind, body(), size=self.frame_size(kind)), checksum.digest() + signature

    def read(self, kind: Kind, data: bytes, *, sender: int, receiver: int) -> tuple[bytes, bytes]:
        """Return payload and signature of a frame, after everything about it is checked; raises as :meth:`open`."""
        payload, vouched = self.open(kind, data, sender=sender, receiver=receiver)
        return payload, vouched[DIGEST:]

    def open(self, kind: Kind, data: bytes, *, sender: int, receiver: int) -> tuple[bytes, bytes]:
        """Return a frame's payload, and the payload's hash with the signature, after everything is checked.

        Raises:
            Malformed: If it is not a frame of this kind.
            WrongContext: If it belongs to another sum.
            WrongSender: If it is not from ``sender`` to ``receiver``.
            BadSignature: If the sender's rostered key did not sign it.
        """
        body = unframe(kind, data, size=self.frame_size(kind))
        (claimed, meant), (context, payload, signature) = decode(body, numbers=2, strings=3)
        if context != self.context_of(kind):
            raise WrongContext(f"this {kind.name} was made for another task, round, attempt, plan, model or cohort")
        if (claimed, meant) != (sender, receiver):
            raise WrongSender(f"this {kind.name} is not from {self.name(sender)!r} to {self.name(receiver)!r}")
        checksum = payload_hash(payload).digest()
        self.verify(kind, sender, receiver, checksum, signature)
        return payload, checksum + signature

    def verify(self, kind: Kind, sender: int, receiver: int, checksum: bytes, signature: bytes) -> None:
        """Check a signature over a message of which the payload's hash is known.

        Raises:
            BadSignature: If the sender's rostered key did not make it.
        """
        name = self.name(sender)
        public = self.roster.server if sender == self.server else self.roster.clients[name]
        verify(public, self.statement(kind, sender, receiver, checksum), signature, name=name)

    def agreed(self, graph: Graph, sharing: Members, survivors: Members, inputs: bytes) -> bytes:
        """Return the digest that clients sign to agree on who survived.

        Args:
            graph: Who advertised which keys.
            sharing: Clients whose shares were dealt.
            survivors: Clients whose masked vectors arrived.
            inputs: Merkle root over the digests and signatures of the masked vectors.
        """
        sets = graph.members.to_bytes() + sharing.to_bytes() + survivors.to_bytes()
        return digest(label("survivors", self.context), graph.root, sets, inputs)
