"""The end of a masked sum at its server: shares are revealed, masks come off, the sum is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import final

from securefed.aggregation.desk import Dealt
from securefed.aggregation.lock import Locked, unlock
from securefed.aggregation.members import Members
from securefed.aggregation.packing import Words
from securefed.aggregation.server_state import ServerState
from securefed.aggregation.unmasking import Revealed, checked
from securefed.aggregation.wire import Kind, decode, encode
from securefed.encoding import RingVector
from securefed.errors import OutOfTurn, ProtocolError


@final
@dataclass(frozen=True)
class Revealing(ServerState):
    """Enough witnesses agree on the survivors."""

    dealt: Dealt
    alive: Members
    masked: Words
    holders: Members
    vouching: Mapping[int, bytes]
    agreed: bytes
    phase = "reveal"

    @property
    def survivors(self) -> Iterable[int]:
        """Places of the clients in the sum."""
        return self.alive

    def requests(self) -> Mapping[str, bytes]:
        """SIGNATURES to everybody who agreed."""
        witnesses = Members.of(self.vouching, self.dealt.desk.session.size)
        payload = encode([], [witnesses.to_bytes(), b"".join(self.vouching.values())])
        return self.dealt.desk.write(Kind.SIGNATURES, self.holders, lambda _: payload)

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Check the REVEALed shares, take the masks off, check the sum."""
        desk, revealed = self.dealt.desk, Revealed.nothing(self.dealt, self.alive)
        holders: list[int] = []
        for holder, shares in self._shares(answers):
            try:
                revealed.add(holder, shares)
                holders.append(holder)
            except ProtocolError as error:
                desk.refuse(holder, error)
        desk.note(Kind.REVEAL, holders)
        masked = self.masked.copy()
        revealed.unmask(masked)
        total = checked(desk.session, masked, len(self.alive))
        desk.transcript.close(total)
        return Done(self.alive, total, stayed=len(holders))

    def _shares(self, answers: Mapping[str, bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield what every holder reveals, shares of all owners in one string."""
        desk, locked = self.dealt.desk, {}
        for holder, payload, _ in desk.read(Kind.REVEAL, answers, self.holders):
            try:
                if not desk.session.locks:
                    yield holder, decode(payload, numbers=0, strings=1)[1][0]
                    continue
                locked[holder] = Locked.of(payload, self.alive)
            except ProtocolError as error:
                desk.refuse(holder, error)
        for holder in locked:
            try:
                yield holder, unlock(desk.session, holder, locked, self.agreed)
            except ProtocolError as error:
                desk.refuse(holder, error)


@final
@dataclass(frozen=True)
class Done(ServerState):
    """The sum is known, and how many clients were there to the end."""

    alive: Members
    sum: RingVector
    stayed: int
    phase = "done"

    @property
    def survivors(self) -> Iterable[int]:
        """Places of the clients in the sum."""
        return self.alive

    def requests(self) -> Mapping[str, bytes]:
        """Ask for nothing."""
        return {}

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Refuse."""
        raise OutOfTurn("the sum is done")

    def total(self) -> RingVector:
        """Return the sum."""
        return self.sum.copy()
