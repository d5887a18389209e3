"""Where the server's messages are written and opened, and refusals noted.

An answer that is not what its sender owed is put aside under the sender's name with the reason, and the sender counts
as dropped out: one bad client costs its own vector, not the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import final

from securefed.aggregation.graph import Graph
from securefed.aggregation.identity import Identity
from securefed.aggregation.members import Members
from securefed.aggregation.messages import Advert, Sealed
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.records import Records
from securefed.aggregation.requests import Requests
from securefed.aggregation.session import Session
from securefed.aggregation.transcript import Transcript
from securefed.aggregation.wire import Kind
from securefed.errors import ProtocolError, ThresholdError


@final
@dataclass(frozen=True, slots=True)
class Desk:
    """Where the server's messages are written and opened, and refusals noted."""

    session: Session
    identity: Identity
    transcript: Transcript
    refusals: dict[str, str] = field(default_factory=dict)

    def write(self, kind: Kind, receivers: Iterable[int], payload: Callable[[int], bytes]) -> Requests:
        """Return a signed frame for every receiver; its payload is made and signed when it is looked up."""
        places = {self.session.name(place): place for place in receivers}
        return Requests(places, lambda name: self._frame(kind, places[name], payload(places[name])))

    def read(
        self, kind: Kind, answers: Mapping[str, bytes], asked: Iterable[int]
    ) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield sender, payload, and the payload's hash with the signature, of every answer that its sender owed.

        One at a time: no answer is asked for before the one before it was used, so that as many answers are in memory
        as ``answers`` keeps there.
        """
        for place in asked:
            if (data := answers.get(self.session.name(place))) is None:
                continue
            try:
                payload, vouched = self.session.open(kind, data, sender=place, receiver=self.session.server)
            except ProtocolError as error:
                self.refuse(place, error)
                continue
            self.transcript.vouched(kind, place, vouched[:DIGEST], vouched[DIGEST:])
            del data
            yield place, payload, vouched

    def refuse(self, place: int, error: ProtocolError) -> None:
        """Note why a client's answer is put aside."""
        self.refusals[self.session.name(place)] = f"{type(error).__name__}: {error}"
        self.transcript.refusal(place, type(error).__name__)

    def _frame(self, kind: Kind, place: int, payload: bytes) -> bytes:
        return self.session.write(kind, [payload], by=self.identity, sender=self.session.server, receiver=place)[0]

    def require(self, kind: Kind, members: Iterable[int]) -> Members:
        """Return the clients that are left after a kind of answer, if they are enough."""
        left = self.note(kind, members)
        if len(left) < self.session.parameters.threshold:
            raise ThresholdError(survivors=len(left), threshold=self.session.parameters.threshold)
        return left

    def note(self, kind: Kind, members: Iterable[int]) -> Members:
        """Record and return the clients that are left after a kind of answer."""
        left = Members.of(members, self.session.size)
        self.transcript.members(kind, left)
        return left


@final
@dataclass(frozen=True, slots=True)
class Dealt:
    """What the server knows once shares were dealt, and keeps for all rounds that they serve.

    Attributes:
        desk: Where messages of the round are written and opened.
        graph: Who masks with whom.
        sharing: The clients that dealt shares.
        adverts: The public keys of everybody who advertised.
        inboxes: The sealed records for each holder, in the order of their owners.
        waiting: Clients whose inbox may not have arrived: no masked vector of theirs has.
    """

    desk: Desk
    graph: Graph
    sharing: Members
    adverts: Mapping[int, Advert]
    inboxes: Records
    waiting: Members

    def neighbours(self, place: int) -> tuple[int, ...]:
        """Return those that mask with a client and have dealt shares, and itself, sorted."""
        return self.sharing.among(self.graph.holders(place))

    def commitments(self, holder: int) -> Iterator[tuple[bytes, bytes]]:
        """Return this round's commitments to a holder's shares, in the order of their owners: its neighbours."""
        inbox, slot = self.inboxes.of(holder), self.desk.session.slot
        size = Sealed.size(self.desk.session.parameters.context.deal.rounds)
        return (Sealed.committed(inbox[at : at + size], slot) for at in range(0, len(inbox), size))

    def after(self, alive: Members) -> Dealt:
        """Return what is known once some masked vectors have arrived."""
        return replace(self, waiting=self.waiting.without(alive))
