"""What the server of a masked sum knows between two phases.

It never keeps a masked vector: each is added to the sum when it arrives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from securefed.aggregation import merkle
from securefed.aggregation.desk import Dealt, Desk
from securefed.aggregation.graph import Graph
from securefed.aggregation.identity import SIGNATURE
from securefed.aggregation.keys import is_usable
from securefed.aggregation.members import Members
from securefed.aggregation.messages import Advert, Sealed, advert_leaf, check_records
from securefed.aggregation.packing import Words, unpack, word
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.records import Records
from securefed.aggregation.refusals import BadMembership, Malformed
from securefed.aggregation.requests import Requests
from securefed.aggregation.revealing import Revealing
from securefed.aggregation.server_state import ServerState
from securefed.aggregation.wire import Kind, decode, encode
from securefed.errors import ProtocolError, ThresholdError


@final
@dataclass(frozen=True)
class Advertising(ServerState):
    """Nothing is known yet."""

    desk: Desk
    phase = "advertise"

    def requests(self) -> Requests:
        """PLAN to everybody."""
        session = self.desk.session
        return self.desk.write(Kind.PLAN, session.everybody, lambda _: session.plan)

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Take the ADVERTs."""
        adverts, session = {}, self.desk.session
        rounds = session.parameters.context.deal.rounds
        seen: set[bytes] = set()
        for place, payload, vouched in self.desk.read(Kind.ADVERT, answers, session.everybody):
            try:
                advert = Advert.decode(payload, rounds=rounds)
                refuse_unusable(advert, seen)
                adverts[place] = advert.to_bytes() + vouched[DIGEST:]
            except ProtocolError as error:
                self.desk.refuse(place, error)
        members = self.desk.require(Kind.ADVERT, adverts)
        tree = merkle.levels([advert_leaf(adverts[place]) for place in members])
        return Sharing(self.desk, Graph.of(session.topology, members, tree[-1][0]), adverts, tree)


@final
@dataclass(frozen=True)
class Sharing(ServerState):
    """The keys of everybody who advertised are known."""

    desk: Desk
    graph: Graph
    adverts: Mapping[int, bytes]
    tree: Sequence[Sequence[bytes]]
    phase = "share"

    def requests(self) -> Requests:
        """KEYS to everybody who advertised: those of its neighbours."""
        return self.desk.write(Kind.KEYS, self.graph.members, self._keys)

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Take the SHARES."""
        session, sharing = self.desk.session, []
        inboxes = Records(session.size, session.topology.holders, self._size)
        for owner, payload, _ in self.desk.read(Kind.SHARES, answers, self.graph.members):
            try:
                self._deal(owner, payload, inboxes)
                sharing.append(owner)
            except ProtocolError as error:
                self.desk.refuse(owner, error)
        adverts = {place: Advert.of(record[:-SIGNATURE]) for place, record in self.adverts.items()}
        left = self.desk.require(Kind.SHARES, sharing)
        return Masking(Dealt(self.desk, self.graph, left, adverts, inboxes, waiting=left))

    def _keys(self, place: int) -> bytes:
        members = self.graph.members
        return opening(members, members.among(self.graph.holders(place)), self.adverts, self.tree)

    def _deal(self, owner: int, payload: bytes, inboxes: Records) -> None:
        """Put one owner's sealed records into the inboxes of their holders: all of them, or none."""
        _, (records,) = decode(payload, numbers=0, strings=1)
        holders = self.graph.holders(owner)
        check_records(records, self._size, len(holders))
        inboxes.add(holders, records)

    @property
    def _size(self) -> int:
        return Sealed.size(self.desk.session.parameters.context.deal.rounds)


@final
@dataclass(frozen=True)
class Masking(ServerState):
    """Everybody's sealed shares are at hand."""

    dealt: Dealt
    phase = "mask"

    def requests(self) -> Requests:
        """INBOX to everybody who shared; in a later round of the deal PLAN, and INBOX if it may not have arrived."""
        dealt, session = self.dealt, self.dealt.desk.session
        inboxes = dealt.desk.write(Kind.INBOX, dealt.waiting, self._inbox)
        if session.is_dealing:
            return inboxes
        plans = dealt.desk.write(Kind.PLAN, dealt.sharing, lambda _: session.plan)
        return Requests(plans, lambda name: plans[name] + inboxes.get(name, b""))

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Add up the MASKED vectors; none of them is kept."""
        desk, inputs = self.dealt.desk, {}
        total = np.zeros(desk.session.length, dtype=word(desk.session.parameters.bits))
        for place, payload, vouched in desk.read(Kind.MASKED, answers, self.dealt.sharing):
            try:
                total += self._unpack(payload)
                inputs[place] = vouched
            except ProtocolError as error:
                desk.refuse(place, error)
        alive = desk.require(Kind.MASKED, inputs)
        tree = merkle.levels([merkle.leaf(inputs[place]) for place in alive])
        return Agreeing(self.dealt.after(alive), alive, inputs, tree, total)

    def _inbox(self, holder: int) -> bytes:
        return encode([], [self.dealt.sharing.to_bytes(), self.dealt.inboxes.of(holder)])

    def _unpack(self, payload: bytes) -> Words:
        _, (packed,) = decode(payload, numbers=0, strings=1)
        return unpack(packed, dim=self.dealt.desk.session.length, bits=self.dealt.desk.session.parameters.bits)


@final
@dataclass(frozen=True)
class Agreeing(ServerState):
    """The sum of the masked vectors is known."""

    dealt: Dealt
    alive: Members
    inputs: Mapping[int, bytes]
    tree: Sequence[Sequence[bytes]]
    masked: Words
    phase = "agree"

    @property
    def survivors(self) -> Iterable[int]:
        """Places of the clients in the sum."""
        return self.alive

    def requests(self) -> Requests:
        """SURVIVORS to every survivor: who they are, and what its neighbours among them signed."""
        return self.dealt.desk.write(Kind.SURVIVORS, self.alive, self._shown)

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Take the AGREEMENTs, and what is revealed with them under locks."""
        desk, graph = self.dealt.desk, self.dealt.graph
        cut = desk.session.frame_size(Kind.AGREEMENT) if desk.session.locks else None
        arrived = dict(answers)
        locked = {name: answer[cut:] for name, answer in arrived.items() if cut}
        answers = {name: answer[:cut] for name, answer in arrived.items()}
        agreed = desk.session.agreed(graph, self.dealt.sharing, self.alive, self.tree[-1][0])
        signatures = {}
        for place, payload, vouched in desk.read(Kind.AGREEMENT, answers, self.alive):
            if payload == encode([], [agreed]):
                signatures[place] = vouched[DIGEST:]
            else:
                desk.refuse(place, Malformed("it agrees to something else than it was shown"))
        agreeing = desk.note(Kind.AGREEMENT, signatures)
        vouching = {place: signatures[place] for place in sorted(graph.witnesses & signatures.keys())}
        if len(vouching) < (needed := desk.session.topology.witness_threshold):
            raise ThresholdError(survivors=len(vouching), threshold=needed)
        following = Revealing(self.dealt, self.alive, self.masked, agreeing, vouching, agreed)
        return following.collect(locked) if desk.session.locks else following

    def _shown(self, place: int) -> bytes:
        return opening(self.alive, self.alive.among(self.dealt.graph.holders(place)), self.inputs, self.tree)


def refuse_unusable(advert: Advert, seen: set[bytes]) -> None:
    """Refuse keys that every neighbour would refuse, so that one client cannot stop all others.

    Raises:
        BadMembership: If a key is unusable or was advertised before.
    """
    for key in (advert.box_key, *advert.mask_keys):
        if key in seen or not is_usable(key):
            raise BadMembership("a key is unusable, or was advertised before")
        seen.add(key)


def opening(
    members: Members, places: Sequence[int], records: Mapping[int, bytes], tree: Sequence[Sequence[bytes]]
) -> bytes:
    """Return a payload that shows some members' records and proves that they belong to the root over all of them."""
    proof = merkle.prove(tree, [members.rank[place] for place in places])
    shown = b"".join(records[place] for place in places)
    return encode([], [members.to_bytes(), tree[-1][0], shown, proof])
