"""What a client of a masked sum knows, one small class for each thing, so that it holds no more than that.

A state answers one request and is gone. The vector and the client's own secrets live until the masked vector is made,
the shares of others until they are revealed; nothing of an earlier state can be asked for again.
"""

from __future__ import annotations

import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from securefed.aggregation import merkle, shamir
from securefed.aggregation.derivations import (
    box_key,
    key_share_commitment,
    pair_mask_key,
    seed_commitment,
    self_mask_key,
    self_share_commitment,
)
from securefed.aggregation.graph import Graph
from securefed.aggregation.identity import SIGNATURE
from securefed.aggregation.keys import agree, load, public_key, seal, unseal
from securefed.aggregation.masks import CHUNK, Masks, pieces
from securefed.aggregation.member import Member, check_opening
from securefed.aggregation.members import Members
from securefed.aggregation.messages import SEALED, Advert, Sealed, split_records, vouched
from securefed.aggregation.packing import pack, packed_size, word
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.refusals import BadBox, BadMembership, Equivocation, WrongContext
from securefed.aggregation.wire import Buffer, Kind, array_head, decode, encode, string_head
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
    """The client's own vector, and nothing of the others."""

    member: Member
    vector: Callable[[], RingVector]
    rng: Source

    def answer(self, request: bytes) -> tuple[bytes, State]:
        """PLAN to ADVERT: draw the secrets of this sum."""
        if self.member.read(Kind.PLAN, request) != self.member.session.plan:
            raise WrongContext("the server's plan is not the one that this client was told")
        if self.member.journal is not None:
            self.member.journal.begin(self.member.session.parameters.context)
        secrets = Secrets(*(shamir.draw(self.rng) for _ in range(3)))
        advert = secrets.advert(self.member)
        following = KnowsSecrets(self.member, self.vector, self.rng, secrets, advert)
        return self.member.write(Kind.ADVERT, advert.encode()), following


@final
@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """A client's secrets for one sum, 32 bytes each: elements of the field, so that they can be shared."""

    box_key: bytes
    mask_key: bytes
    self_mask: bytes

    def advert(self, member: Member) -> Advert:
        """Return the public half."""
        commitment = seed_commitment(member.session, member.place, self.self_mask)
        return Advert(public_key(self.box_key), public_key(self.mask_key), commitment)


@final
@dataclass(frozen=True, slots=True, repr=False)
class KnowsSecrets(State):
    """The client's own vector and secrets."""

    member: Member
    vector: Callable[[], RingVector]
    rng: Source
    secrets: Secrets
    advert: Advert

    def answer(self, request: bytes) -> tuple[bytes, State]:
        """KEYS to SHARES: share the secrets among the neighbours."""
        session, place = self.member.session, self.member.place
        graph, adverts = self._read_adverts(self.member.read(Kind.KEYS, request))
        box_private, mask_private = load(self.secrets.box_key), load(self.secrets.mask_key)
        boxes = {peer: agree(box_private, advert.box_key) for peer, advert in adverts.items()}
        masks = {
            peer: pair_mask_key(session, place, peer, agree(mask_private, advert.mask_key))
            for peer, advert in adverts.items()
            if peer != place
        }
        sealed = b"".join(record.to_bytes() for record in self._seal(boxes))
        inbound = {peer: box_key(session, secret, owner=peer, holder=place) for peer, secret in boxes.items()}
        following = KnowsKeys(self.member, self.vector, graph, self.secrets.self_mask, masks, inbound)
        return self.member.write(Kind.SHARES, encode([], [sealed])), following

    def _read_adverts(self, payload: bytes) -> tuple[Graph, dict[int, Advert]]:
        """Return the graph, and the keys of the neighbours that follow from it."""
        session = self.member.session
        _, (bitmap, root, records, proof) = decode(payload, numbers=0, strings=4)
        members = self.member.members(bitmap, among=session.everybody)
        graph = Graph.of(session.topology, members, root)
        holders = self.member.neighbourhood(graph, members)
        split = split_records(records, Advert.SIZE + SIGNATURE, len(holders))
        signed = {place: vouched(record) for place, record in zip(holders, split, strict=True)}
        check_opening(root, members, {place: merkle.leaf(each) for place, each in signed.items()}, proof)
        for place, each in signed.items():
            session.verify(Kind.ADVERT, place, session.server, each[:DIGEST], each[DIGEST:])
        adverts = {place: Advert.of(record[: Advert.SIZE]) for place, record in zip(holders, split, strict=True)}
        self._refuse_swapped_keys(adverts)
        return graph, adverts

    def _refuse_swapped_keys(self, adverts: Mapping[int, Advert]) -> None:
        if adverts[self.member.place] != self.advert:
            raise BadMembership("the server shows other keys for this client than it advertised")
        keys = [key for advert in adverts.values() for key in (advert.box_key, advert.mask_key)]
        if len(set(keys)) < len(keys):
            raise BadMembership("a key is advertised twice")

    def _seal(self, boxes: Mapping[int, bytes]) -> list[Sealed]:
        """Return a sealed record for every holder, in the order of their places."""
        session = self.member.session
        secrets = [self.secrets.self_mask, self.secrets.mask_key]
        self_shares, key_shares = shamir.split(
            secrets, threshold=session.topology.share_threshold, points=[holder + 1 for holder in boxes], rng=self.rng
        )
        owner = self.member.place
        records = []
        for holder, self_share, key_share in zip(boxes, self_shares, key_shares, strict=True):
            first = self_share_commitment(session, owner, holder, self_share)
            second = key_share_commitment(session, owner, holder, key_share)
            key = box_key(session, boxes[holder], owner=owner, holder=holder)
            records.append(Sealed(first, second, seal(key, self_share + key_share, first + second)))
        return records


@final
@dataclass(frozen=True, slots=True, repr=False)
class KnowsKeys(State):
    """The client's own vector, the seed of its self mask, and the keys that it shares with each peer."""

    member: Member
    vector: Callable[[], RingVector]
    graph: Graph
    self_mask: bytes
    masks: Mapping[int, bytes]
    inbound: Mapping[int, bytes]

    def answer(self, request: bytes) -> tuple[bytes, State]:
        """INBOX to MASKED: keep the shares of others, send the masked vector, forget all that is one's own."""
        _, (bitmap, records) = decode(self.member.read(Kind.INBOX, request), numbers=0, strings=2)
        sharing = self.member.members(bitmap, among=self.graph.members)
        owners = self.member.neighbourhood(self.graph, sharing)
        sealed = [Sealed.of(record) for record in split_records(records, SEALED, len(owners))]
        shares = {owner: self._open(owner, record) for owner, record in zip(owners, sealed, strict=True)}
        session = self.member.session
        if self.member.journal is not None:
            self.member.journal.contribute(session.parameters.context)
        size = packed_size(session.length, session.parameters.bits)
        head = array_head(1) + string_head(size)
        payload = itertools.chain([head], self._masked(owners, self.vector()))
        answer, sent = self.member.stream(Kind.MASKED, payload, length=len(head) + size)
        return answer, KnowsShares(self.member, self.graph, sharing, shares, sent)

    def _open(self, owner: int, record: Sealed) -> HeldShares:
        session, holder = self.member.session, self.member.place
        content = unseal(self.inbound[owner], record.box, record.commitments)
        held = HeldShares(content[: shamir.SHARE], content[shamir.SHARE :])
        first = self_share_commitment(session, owner, holder, held.self_mask)
        second = key_share_commitment(session, owner, holder, held.mask_key)
        if (first, second) != (record.self_commitment, record.key_commitment):
            raise BadBox(f"the shares of {self.member.session.name(owner)!r} are not those it committed to")
        return held

    def _masked(self, owners: tuple[int, ...], vector: RingVector) -> Iterator[Buffer]:
        """Yield the vector and its count coordinates under the self mask and every pairwise mask, packed.

        Every piece takes the memory of the one before.
        """
        session, place = self.member.session, self.member.place
        bits, dim = session.parameters.bits, session.parameters.dim
        masks = Masks(
            added=[
                self_mask_key(session, place, self.self_mask),
                *(self.masks[peer] for peer in owners if peer > place),
            ],
            subtracted=[self.masks[peer] for peer in owners if peer < place],
        )
        scratch = np.empty(CHUNK // word(bits).itemsize, dtype=word(bits))
        for piece in pieces(session.length, word(bits).itemsize):
            part, own = scratch[: piece.stop - piece.start], vector[piece.start : min(piece.stop, dim)]
            np.copyto(part[: len(own)], own, casting="unsafe")
            part[len(own) :] = 1
            masks.apply(part)
            yield pack(part, bits)


@final
@dataclass(frozen=True, slots=True, repr=False)
class HeldShares:
    """What a client holds of one owner's secrets; it will reveal one of the two."""

    self_mask: bytes
    mask_key: bytes


@final
@dataclass(frozen=True, slots=True, repr=False)
class KnowsShares(State):
    """Shares of other clients' secrets; the client's own vector and secrets are gone."""

    member: Member
    graph: Graph
    sharing: Members
    shares: Mapping[int, HeldShares]
    sent: bytes

    def answer(self, request: bytes) -> tuple[bytes, State]:
        """SURVIVORS to AGREEMENT: sign who survived, if the neighbours among them signed their masked vectors."""
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
        return answer, KnowsSurvivors(self.member, self.graph, survivors, self.shares, agreed)


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
        """SIGNATURES to REVEAL: if enough witnesses agree, reveal one share of every owner.

        Which of the two is this client's own conclusion from the agreed set: nobody can ask for both.
        """
        _, (bitmap, signatures) = decode(self.member.read(Kind.SIGNATURES, request), numbers=0, strings=2)
        self._check_agreement(bitmap, signatures)
        if self.member.journal is not None:
            self.member.journal.reveal(self.member.session.context)
        revealed = [
            held.self_mask if owner in self.survivors else held.mask_key for owner, held in sorted(self.shares.items())
        ]
        return self.member.write(Kind.REVEAL, encode([], [b"".join(revealed)])), Finished()

    def _check_agreement(self, bitmap: bytes, signatures: bytes) -> None:
        session = self.member.session
        signers, needed = Members.read(bitmap, session.size), session.topology.witness_threshold
        if not (signers <= self.survivors and self.graph.witnesses.issuperset(signers)):
            raise BadMembership("a client vouches for the survivors that is no witness or did not survive")
        if len(signers) < needed:
            raise Equivocation(f"{len(signers)} witnesses agree on the survivors, {needed} must")
        checksum = hashlib.sha256(encode([], [self.agreed])).digest()
        for place, signature in zip(signers, split_records(signatures, SIGNATURE, len(signers)), strict=True):
            session.verify(Kind.AGREEMENT, place, session.server, checksum, signature)
