"""What a client of a masked sum knows, one small class for each thing, so that it holds no more than that.

A state answers one request and is gone. The vector and the client's own secrets live until the masked vector is made,
the shares of others until they are revealed; nothing of an earlier state can be asked for again.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import final

from securefed.aggregation import merkle, shamir
from securefed.aggregation.derivations import box_key, lock_secret, share_commitments
from securefed.aggregation.graph import Graph
from securefed.aggregation.hand import Hand, HeldShares, Own, Secrets
from securefed.aggregation.identity import SIGNATURE
from securefed.aggregation.journal import Journal
from securefed.aggregation.keys import agree, load, payload_hash, seal
from securefed.aggregation.lock import lock
from securefed.aggregation.masking import under_masks
from securefed.aggregation.member import Member, check_opening
from securefed.aggregation.members import Members
from securefed.aggregation.messages import Advert, split_records, vouched
from securefed.aggregation.packing import packed_size
from securefed.aggregation.parameters import DIGEST, Context
from securefed.aggregation.refusals import BadMembership, Equivocation, WrongContext
from securefed.aggregation.wire import Kind, array_head, decode, encode, string_head
from securefed.encoding import RingVector
from securefed.errors import OutOfTurn
from securefed.rng import Source


class State(ABC):
    """What a client knows between two messages."""

    @abstractmethod
    def answer(self, request: bytes) -> tuple[bytes, State]:
        """Return the answer to a request and the state after it."""


@final
class Finished(State):
    """Everything was answered, or something was refused: nothing is left to know."""

    def answer(self, request: bytes) -> tuple[bytes, State]:
        """Refuse."""
        raise OutOfTurn("this client has finished its part of the sum, or has refused to go on")


@final
@dataclass(frozen=True, slots=True, repr=False)
class KnowsVector(State):
    """The client's own vector, and what it holds of a deal before."""

    member: Member
    vector: Callable[[], RingVector]
    rng: Source
    hand: Hand

    def answer(self, request: bytes) -> tuple[bytes, State]:
        """PLAN to ADVERT, which begins a deal; in a later round of the deal, PLAN to MASKED."""
        session = self.member.session
        size = len(request) if session.is_dealing else session.frame_size(Kind.PLAN)
        if self.member.read(Kind.PLAN, request[:size]) != session.plan:
            raise WrongContext("the server's plan is not the one that this client was told")
        if session.is_dealing:
            self._begin()
            return self._advertise()
        self.hand.check(self.member)
        if len(request) == size:
            return masked(self.member, self.hand, self.vector, self.rng, note=Journal.take_part)
        # Boxes may turn out not to open: that ends the attempt, but the model is still to be contributed to.
        inbox = self.member.read(Kind.INBOX, request[size:])
        self._begin()
        self.hand.open(self.member, inbox)
        return masked(self.member, self.hand, self.vector, self.rng, note=Journal.contribute)

    def _begin(self) -> None:
        if self.member.journal is not None:
            self.member.journal.begin(self.member.session.parameters.context)

    def _advertise(self) -> tuple[bytes, State]:
        """Draw the secrets of all rounds of a new deal."""
        secrets = Secrets.draw(self.member.session.parameters.context.deal.rounds, self.rng)
        advert = secrets.advert(self.member)
        following = KnowsSecrets(self.member, self.vector, self.rng, self.hand, secrets, advert)
        return self.member.write(Kind.ADVERT, advert.encode()), following


@final
@dataclass(frozen=True, slots=True, repr=False)
class KnowsSecrets(State):
    """The client's own vector and secrets."""

    member: Member
    vector: Callable[[], RingVector]
    rng: Source
    hand: Hand
    secrets: Secrets
    advert: Advert

    def answer(self, request: bytes) -> tuple[bytes, State]:
        """KEYS to SHARES: share the secrets among the neighbours."""
        session, place = self.member.session, self.member.place
        graph, adverts = self._read_adverts(self.member.read(Kind.KEYS, request))
        private = load(self.secrets.box_key)
        boxes = {peer: agree(private, advert.box_key) for peer, advert in adverts.items()}
        own = {slot: self._own(slot, adverts, boxes) for slot in range(len(self.secrets.mask_keys))}
        sealed = b"".join(self._seal(boxes))
        inbound = {peer: box_key(session, secret, owner=peer, holder=place) for peer, secret in boxes.items()}
        self.hand.pick_up(session.deal, graph, own, inbound)
        return self.member.write(Kind.SHARES, encode([], [sealed])), KnowsKeys(
            self.member, self.vector, self.rng, self.hand
        )

    def _own(self, slot: int, adverts: Mapping[int, Advert], boxes: Mapping[int, bytes]) -> Own:
        session, place, private = self.member.session, self.member.place, load(self.secrets.mask_keys[slot])
        peers = {peer: advert.mask_keys[slot] for peer, advert in adverts.items() if peer != place}
        masks = {peer: agree(private, key) for peer, key in peers.items()}
        shared = boxes.items() if session.locks else ()
        locks = {peer: lock_secret(session, slot, place, peer, secret) for peer, secret in shared}
        return Own(self.secrets.self_masks[slot], masks, locks)

    def _read_adverts(self, payload: bytes) -> tuple[Graph, dict[int, Advert]]:
        """Return the graph, and the keys of the neighbours that follow from it."""
        session = self.member.session
        _, (bitmap, root, records, proof) = decode(payload, numbers=0, strings=4)
        members = self.member.members(bitmap, among=session.everybody)
        graph = Graph.of(session.topology, members, root)
        holders = self.member.neighbourhood(graph, members)
        size = Advert.size(session.parameters.context.deal.rounds) + SIGNATURE
        split = split_records(records, size, len(holders))
        signed = {place: vouched(record) for place, record in zip(holders, split, strict=True)}
        check_opening(root, members, {place: merkle.leaf(each) for place, each in signed.items()}, proof)
        for place, each in signed.items():
            session.verify(Kind.ADVERT, place, session.server, each[:DIGEST], each[DIGEST:])
        adverts = {place: Advert.of(record[:-SIGNATURE]) for place, record in zip(holders, split, strict=True)}
        self._refuse_swapped_keys(adverts)
        return graph, adverts

    def _refuse_swapped_keys(self, adverts: Mapping[int, Advert]) -> None:
        if adverts[self.member.place] != self.advert:
            raise BadMembership("the server shows other keys for this client than it advertised")
        keys = [key for advert in adverts.values() for key in (advert.box_key, *advert.mask_keys)]
        if len(set(keys)) < len(keys):
            raise BadMembership("a key is advertised twice")

    def _seal(self, boxes: Mapping[int, bytes]) -> Iterator[bytes]:
        """Yield a sealed record for every holder, in the order of their places."""
        session, owner = self.member.session, self.member.place
        points, threshold = [holder + 1 for holder in boxes], session.topology.share_threshold
        dealt = [
            shamir.split(secrets, threshold=threshold, points=points, rng=self.rng)
            for secrets in zip(self.secrets.self_masks, self.secrets.mask_keys, strict=True)
        ]
        for at, (holder, secret) in enumerate(boxes.items()):
            shares = b"".join([of_seed[at] + of_key[at] for of_seed, of_key in dealt])
            commitments = share_commitments(session, owner, holder, shares)
            key = box_key(session, secret, owner=owner, holder=holder)
            yield commitments + seal(key, shares, commitments)


@final
@dataclass(frozen=True, slots=True, repr=False)
class KnowsKeys(State):
    """The client's own vector, and a hand that has dealt and waits for what others dealt."""

    member: Member
    vector: Callable[[], RingVector]
    rng: Source
    hand: Hand

    def answer(self, request: bytes) -> tuple[bytes, State]:
        """INBOX to MASKED."""
        self.hand.open(self.member, self.member.read(Kind.INBOX, request))
        return masked(self.member, self.hand, self.vector, self.rng, note=Journal.contribute)


def masked(
    member: Member,
    hand: Hand,
    vector: Callable[[], RingVector],
    rng: Source,
    *,
    note: Callable[[Journal, Context], None],
) -> tuple[bytes, State]:
    """Return the MASKED vector of a round, and what is left to know: all that is the client's own is forgotten.

    What leaves is noted in the journal before a secret of the round is taken or the vector is made.
    """
    session, graph, sharing = member.session, hand.graph, hand.sharing
    if graph is None or sharing is None:
        raise OutOfTurn("this client has not seen the shares that it was dealt")
    if member.journal is not None:
        note(member.journal, session.parameters.context)
    own, shares = hand.take(session.slot)
    size = packed_size(session.length, session.parameters.bits)
    head = array_head(1) + string_head(size)
    payload = itertools.chain([head], under_masks(member, own, shares, vector()))
    answer, sent = member.stream(Kind.MASKED, payload, length=len(head) + size)
    return answer, KnowsShares(member, graph, sharing, shares, own.locks, rng, sent)


@final
@dataclass(frozen=True, slots=True, repr=False)
class KnowsShares(State):
    """Shares of other clients' secrets; the client's own vector and secrets are gone."""

    member: Member
    graph: Graph
    sharing: Members
    shares: Mapping[int, HeldShares]
    locks: Mapping[int, bytes]
    rng: Source
    sent: bytes

    def answer(self, request: bytes) -> tuple[bytes, State]:
        """SURVIVORS to AGREEMENT: sign who survived, if the neighbours among them signed their masked vectors.

        With locks a REVEAL follows it, which opens if enough agree.
        """
        session = self.member.session
        _, (bitmap, root, records, proof) = decode(self.member.read(Kind.SURVIVORS, request), numbers=0, strings=4)
        survivors = self.member.members(bitmap, among=self.sharing)
        alive = self.member.neighbourhood(self.graph, survivors)
        split = split_records(records, DIGEST + SIGNATURE, len(alive))
        leaves = {place: merkle.leaf(record) for place, record in zip(alive, split, strict=True)}
        check_opening(root, survivors, leaves, proof)
        if split[alive.index(self.member.place)] != self.sent:
            raise BadMembership("the server shows another masked vector of this client than it sent")
        for place, record in zip(alive, split, strict=True):
            session.verify(Kind.MASKED, place, session.server, record[:DIGEST], record[DIGEST:])
        agreed = session.agreed(self.graph, self.sharing, survivors, root)
        answer = self.member.write(Kind.AGREEMENT, encode([], [agreed]))
        if session.locks:
            return answer + self._locked(survivors, agreed), Finished()
        return answer, KnowsSurvivors(self.member, self.graph, survivors, self.shares, agreed)

    def _locked(self, survivors: Members, agreed: bytes) -> bytes:
        """Return the REVEAL frame."""
        session = self.member.session
        if self.member.journal is not None:
            self.member.journal.reveal(session.context)
        secrets = {peer: self.locks[peer] for peer in survivors}
        shares = revealed(self.shares, survivors)
        locked = lock(session, self.member.place, secrets, agreed, shares, rng=self.rng)
        return self.member.write(Kind.REVEAL, locked.encode())


@final
@dataclass(frozen=True, slots=True, repr=False)
class KnowsSurvivors(State):
    """Shares of other clients' secrets, and who survived according to the server."""

    member: Member
    graph: Graph
    survivors: Members
    shares: Mapping[int, HeldShares]
    agreed: bytes

    def answer(self, request: bytes) -> tuple[bytes, State]:
        """SIGNATURES to REVEAL: if enough witnesses agree, reveal one share of every owner."""
        _, (bitmap, signatures) = decode(self.member.read(Kind.SIGNATURES, request), numbers=0, strings=2)
        self._check_agreement(bitmap, signatures)
        if self.member.journal is not None:
            self.member.journal.reveal(self.member.session.context)
        shares = revealed(self.shares, self.survivors)
        return self.member.write(Kind.REVEAL, encode([], [shares])), Finished()

    def _check_agreement(self, bitmap: bytes, signatures: bytes) -> None:
        session = self.member.session
        signers, needed = Members.read(bitmap, session.size), session.topology.witness_threshold
        if not (signers <= self.survivors and self.graph.witnesses.issuperset(signers)):
            raise BadMembership("a client vouches for the survivors that is no witness or did not survive")
        if len(signers) < needed:
            raise Equivocation(f"{len(signers)} witnesses agree on the survivors, {needed} must")
        checksum = payload_hash(encode([], [self.agreed])).digest()
        for place, signature in zip(signers, split_records(signatures, SIGNATURE, len(signers)), strict=True):
            session.verify(Kind.AGREEMENT, place, session.server, checksum, signature)


def revealed(shares: Mapping[int, HeldShares], survivors: Members) -> bytes:
    """Return one share of every owner.

    Which of the two is the client's own conclusion from the set that it agrees to: nobody can ask for both.
    """
    return b"".join(held.self_mask if owner in survivors else held.mask_key for owner, held in sorted(shares.items()))
