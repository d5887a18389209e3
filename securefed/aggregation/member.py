"""A client's place in a session: what it reads and writes, and which sets of clients it believes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

from securefed.aggregation import merkle
from securefed.aggregation.graph import Graph
from securefed.aggregation.identity import Identity
from securefed.aggregation.journal import Journal
from securefed.aggregation.members import Members
from securefed.aggregation.refusals import BadMembership
from securefed.aggregation.session import Session
from securefed.aggregation.wire import Buffer, Kind
from securefed.errors import ThresholdError


@final
@dataclass(frozen=True, slots=True)
class Member:
    """A client's place in a session, and the key that it signs with."""

    session: Session
    identity: Identity
    place: int
    journal: Journal | None

    def read(self, kind: Kind, request: bytes) -> bytes:
        """Return the payload of a request from the server to this client."""
        return self.session.read(kind, request, sender=self.session.server, receiver=self.place)[0]

    def write(self, kind: Kind, payload: bytes) -> bytes:
        """Return the signed frame of an answer."""
        return self.stream(kind, [payload], length=len(payload))[0]

    def stream(self, kind: Kind, payload: Iterable[Buffer], *, length: int) -> tuple[bytes, bytes]:
        """Return the signed frame of an answer, and the payload's hash with the signature."""
        server = self.session.server
        return self.session.stream(kind, payload, length=length, by=self.identity, sender=self.place, receiver=server)

    def members(self, bitmap: bytes, *, among: Members) -> Members:
        """Return a set of clients that the server claims, if it can be one that this client takes part in."""
        members = Members.read(bitmap, self.session.size)
        if not members <= among or self.place not in members:
            raise BadMembership("the server names clients that were not there before, or leaves this one out")
        if len(members) < self.session.parameters.threshold:
            raise ThresholdError(survivors=len(members), threshold=self.session.parameters.threshold)
        return members

    def neighbourhood(self, graph: Graph, members: Members) -> tuple[int, ...]:
        """Return those holders of this client's shares that are members, if they are enough to reveal anything."""
        left = members.among(graph.holders(self.place))
        if len(left) < self.session.topology.share_threshold:
            raise ThresholdError(survivors=len(left), threshold=self.session.topology.share_threshold)
        return left


def check_opening(root: bytes, members: Members, leaves: Mapping[int, bytes], proof: bytes) -> None:
    """Check that some members' leaves belong to a Merkle tree over all members.

    Raises:
        BadMembership: If the tree has another root.
    """
    ranked = {members.rank[place]: leaf for place, leaf in leaves.items()}
    if merkle.root_of(ranked, count=len(members), proof=proof) != root:
        raise BadMembership("the records that the server shows do not belong to the root that it shows")
