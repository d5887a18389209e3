"""The server of a masked sum: it carries messages, adds masked vectors, and takes off what the survivors reveal.

An answer that is not what its sender owed is put aside under the sender's name with the reason, and the sender counts
as dropped out: one bad client costs its own vector, not the sum.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np

from securefed.aggregation import shamir
from securefed.aggregation.base import ServerRole
from securefed.aggregation.derivations import (
    key_share_commitment,
    pair_mask_key,
    seed_commitment,
    self_mask_key,
    self_share_commitment,
)
from securefed.aggregation.identity import Identity
from securefed.aggregation.keys import agree, public_key
from securefed.aggregation.masks import add_mask, subtract_mask
from securefed.aggregation.messages import SEALED, Advert, Sealed, split_records, to_bitmap
from securefed.aggregation.packing import Words, to_ring, unpack, word
from securefed.aggregation.parameters import exceeds
from securefed.aggregation.refusals import BadShare, InconsistentSum, Malformed
from securefed.aggregation.session import Session
from securefed.aggregation.wire import Kind, decode, encode
from securefed.encoding import RingVector
from securefed.errors import OutOfTurn, ProtocolError, ThresholdError


@final
@dataclass(frozen=True, slots=True)
class Desk:
    """Where the server's messages are written and opened, and refusals noted."""

    session: Session
    identity: Identity
    refusals: dict[str, str] = field(default_factory=dict)

    def write(self, kind: Kind, payloads: Mapping[int, bytes]) -> dict[str, bytes]:
        """Return a signed frame for every client."""
        server, session = self.session.server, self.session
        return {
            session.name(place): session.write(kind, payload, by=self.identity, sender=server, receiver=place)[0]
            for place, payload in payloads.items()
        }

    def read(self, kind: Kind, answers: Mapping[str, bytes], asked: Iterable[int]) -> dict[int, tuple[bytes, bytes]]:
        """Return payload and signature of every answer that is what its sender owed."""
        server, opened = self.session.server, {}
        for place in asked:
            if (data := answers.get(self.session.name(place))) is None:
                continue
            try:
                opened[place] = self.session.read(kind, data, sender=place, receiver=server)
            except ProtocolError as error:
                self.refuse(place, error)
        return opened

    def refuse(self, place: int, error: ProtocolError) -> None:
        """Note why a client's answer is put aside."""
        self.refusals[self.session.name(place)] = f"{type(error).__name__}: {error}"

    def require(self, members: Iterable[int]) -> tuple[int, ...]:
        """Return the clients that are left, sorted, if they are enough."""
        left = tuple(sorted(members))
        if len(left) < self.session.parameters.threshold:
            raise ThresholdError(survivors=len(left), threshold=self.session.parameters.threshold)
        return left


@final
class MaskedServer(ServerRole):
    """The server's part in one masked sum."""

    def __init__(self, session: Session, identity: Identity) -> None:
        self._desk = Desk(session, identity)
        self._state: ServerState = Advertising(self._desk)
        self._survivors: tuple[str, ...] = ()

    @property
    def phase(self) -> str:
        """Name of the phase; see :class:`ServerRole`."""
        return self._state.phase

    @property
    def survivors(self) -> tuple[str, ...]:
        """Names of the clients in the sum; see :class:`ServerRole`."""
        return tuple(self._desk.session.name(place) for place in self._state.survivors)

    @property
    def refusals(self) -> Mapping[str, str]:
        """Why answers were put aside; see :class:`ServerRole`."""
        return self._desk.refusals

    def requests(self) -> dict[str, bytes]:
        """Return what to send to whom; see :class:`ServerRole`."""
        return self._state.requests()

    def collect(self, answers: Mapping[str, bytes]) -> None:
        """Take the answers of this phase; see :class:`ServerRole`."""
        state, self._state = self._state, Aborted()
        self._state = state.collect(answers)

    def total(self) -> RingVector:
        """Return the sum; see :class:`ServerRole`."""
        return self._state.total()


class ServerState(ABC):
    """What the server knows between two phases."""

    phase: str

    @property
    def survivors(self) -> tuple[int, ...]:
        """Places of the clients in the sum, once that is decided."""
        return ()

    @abstractmethod
    def requests(self) -> dict[str, bytes]:
        """Return what to send to whom."""

    @abstractmethod
    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Return the state after the answers of this phase."""

    def total(self) -> RingVector:
        """Refuse: only the last state has a sum."""
        raise OutOfTurn(f"there is no total in phase {self.phase!r}")


@final
class Aborted(ServerState):
    """The sum was given up."""

    phase = "aborted"

    def requests(self) -> dict[str, bytes]:
        """Ask for nothing."""
        return {}

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Refuse."""
        raise OutOfTurn("the sum was aborted; a new one needs a new attempt number")


@final
@dataclass(frozen=True)
class Advertising(ServerState):
    """Nothing is known yet."""

    desk: Desk
    phase = "advertise"

    def requests(self) -> dict[str, bytes]:
        """PLAN to everybody."""
        session = self.desk.session
        return self.desk.write(Kind.PLAN, dict.fromkeys(range(session.size), session.plan))

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Take the ADVERTs."""
        adverts = {}
        opened = self.desk.read(Kind.ADVERT, answers, range(self.desk.session.size))
        for place, (payload, signature) in opened.items():
            try:
                adverts[place] = (Advert.decode(payload), signature)
            except ProtocolError as error:
                self.desk.refuse(place, error)
        return Sharing(self.desk, self.desk.require(adverts), adverts)


@final
@dataclass(frozen=True)
class Sharing(ServerState):
    """The keys of everybody who advertised are known."""

    desk: Desk
    members: tuple[int, ...]
    adverts: Mapping[int, tuple[Advert, bytes]]
    phase = "share"

    def requests(self) -> dict[str, bytes]:
        """KEYS to everybody who advertised."""
        records = b"".join(advert.to_bytes() + signature for advert, signature in self._signed())
        payload = encode([], [to_bitmap(self.members, self.desk.session.size), records])
        return self.desk.write(Kind.KEYS, dict.fromkeys(self.members, payload))

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Take the SHARES."""
        sealed = {}
        for owner, (payload, _) in self.desk.read(Kind.SHARES, answers, self.members).items():
            try:
                sealed[owner] = self._split(payload)
            except ProtocolError as error:
                self.desk.refuse(owner, error)
        adverts = {place: advert for place, (advert, _) in self.adverts.items()}
        return Masking(self.desk, self.desk.require(sealed), adverts, sealed)

    def _signed(self) -> list[tuple[Advert, bytes]]:
        return [self.adverts[place] for place in self.members]

    def _split(self, payload: bytes) -> dict[int, Sealed]:
        _, (records,) = decode(payload, numbers=0, strings=1)
        split = split_records(records, SEALED, len(self.members))
        return {holder: Sealed.of(record) for holder, record in zip(self.members, split, strict=True)}


@final
@dataclass(frozen=True)
class Masking(ServerState):
    """Everybody's sealed shares are at hand."""

    desk: Desk
    sharing: tuple[int, ...]
    adverts: Mapping[int, Advert]
    sealed: Mapping[int, Mapping[int, Sealed]]
    phase = "mask"

    def requests(self) -> dict[str, bytes]:
        """INBOX to everybody who shared."""
        bitmap = to_bitmap(self.sharing, self.desk.session.size)
        payloads = {holder: encode([], [bitmap, self._inbox(holder)]) for holder in self.sharing}
        return self.desk.write(Kind.INBOX, payloads)

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Add up the MASKED vectors; none of them is kept."""
        session, inputs = self.desk.session, {}
        total = np.zeros(session.length, dtype=word(session.parameters.bits))
        for place, (payload, signature) in self.desk.read(Kind.MASKED, answers, self.sharing).items():
            try:
                total += self._unpack(payload)
                inputs[place] = hashlib.sha256(payload).digest() + signature
            except ProtocolError as error:
                self.desk.refuse(place, error)
        return Agreeing(self, self.desk.require(inputs), inputs, total)

    def _inbox(self, holder: int) -> bytes:
        return b"".join(self.sealed[owner][holder].to_bytes() for owner in self.sharing)

    def _unpack(self, payload: bytes) -> Words:
        _, (packed,) = decode(payload, numbers=0, strings=1)
        return unpack(packed, dim=self.desk.session.length, bits=self.desk.session.parameters.bits)


@final
@dataclass(frozen=True)
class Agreeing(ServerState):
    """The sum of the masked vectors is known."""

    before: Masking
    alive: tuple[int, ...]
    inputs: Mapping[int, bytes]
    masked: Words
    phase = "agree"

    @property
    def survivors(self) -> tuple[int, ...]:
        """Places of the clients in the sum."""
        return self.alive

    def requests(self) -> dict[str, bytes]:
        """SURVIVORS to every survivor."""
        desk = self.before.desk
        payload = encode([], [to_bitmap(self.alive, desk.session.size), self._records()])
        return desk.write(Kind.SURVIVORS, dict.fromkeys(self.alive, payload))

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Take the AGREEMENTs."""
        desk = self.before.desk
        expected = encode([], [desk.session.agreed(self.before.sharing, self.alive, self._records())])
        signatures = {}
        for place, (payload, signature) in desk.read(Kind.AGREEMENT, answers, self.alive).items():
            if payload == expected:
                signatures[place] = signature
            else:
                desk.refuse(place, Malformed("it agrees to something else than it was shown"))
        return Revealing(self, desk.require(signatures), signatures)

    def _records(self) -> bytes:
        return b"".join(self.inputs[place] for place in self.alive)


@final
@dataclass(frozen=True)
class Revealing(ServerState):
    """Enough clients agree on the survivors."""

    before: Agreeing
    signers: tuple[int, ...]
    signatures: Mapping[int, bytes]
    phase = "reveal"

    @property
    def survivors(self) -> tuple[int, ...]:
        """Places of the clients in the sum."""
        return self.before.alive

    def requests(self) -> dict[str, bytes]:
        """SIGNATURES to everybody who agreed."""
        desk = self.before.before.desk
        signatures = b"".join(self.signatures[place] for place in self.signers)
        payload = encode([], [to_bitmap(self.signers, desk.session.size), signatures])
        return desk.write(Kind.SIGNATURES, dict.fromkeys(self.signers, payload))

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Check the REVEALed shares, take the masks off, check the sum."""
        masking = self.before.before
        shares = Shares(masking, frozenset(self.before.alive))
        for holder, (payload, _) in masking.desk.read(Kind.REVEAL, answers, self.signers).items():
            try:
                shares.add(holder, payload)
            except ProtocolError as error:
                masking.desk.refuse(holder, error)
        masking.desk.require(shares.holders)
        total = self.before.masked.copy()
        for owner in masking.sharing:
            unmask(total, shares, owner)
        return Done(self.before.alive, checked(masking.desk.session, total, len(self.before.alive)))


@final
@dataclass(frozen=True)
class Done(ServerState):
    """The sum is known, and nothing else is kept."""

    alive: tuple[int, ...]
    sum: RingVector
    phase = "done"

    @property
    def survivors(self) -> tuple[int, ...]:
        """Places of the clients in the sum."""
        return self.alive

    def requests(self) -> dict[str, bytes]:
        """Ask for nothing."""
        return {}

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Refuse."""
        raise OutOfTurn("the sum is done")

    def total(self) -> RingVector:
        """Return the sum."""
        return self.sum.copy()


@final
@dataclass(frozen=True)
class Shares:
    """The revealed shares, each checked against its commitment."""

    masking: Masking
    survivors: frozenset[int]
    holders: dict[int, list[bytes]] = field(default_factory=dict)

    def add(self, holder: int, payload: bytes) -> None:
        """Take what one holder reveals: all of it, or nothing."""
        _, (records,) = decode(payload, numbers=0, strings=1)
        shares = split_records(records, shamir.SHARE, len(self.masking.sharing))
        for owner, share in zip(self.masking.sharing, shares, strict=True):
            self._check(owner, holder, share)
        self.holders[holder] = shares

    def secret(self, owner: int) -> bytes:
        """Return the secret of an owner that the holders revealed together."""
        column = self.masking.sharing.index(owner)
        points = {holder + 1: shares[column] for holder, shares in self.holders.items()}
        return shamir.combine(points, threshold=self.masking.desk.session.parameters.threshold)

    def _check(self, owner: int, holder: int, share: bytes) -> None:
        session, sealed = self.masking.desk.session, self.masking.sealed[owner][holder]
        if owner in self.survivors:
            matches = self_share_commitment(session, owner, holder, share) == sealed.self_commitment
        else:
            matches = key_share_commitment(session, owner, holder, share) == sealed.key_commitment
        if not matches:
            raise BadShare(f"its share of {session.name(owner)!r} is not the one that was committed to")


def unmask(total: Words, shares: Shares, owner: int) -> None:
    """Take from the sum what one client's masks left in it: its self mask, or pairwise masks without a partner."""
    session, advert = shares.masking.desk.session, shares.masking.adverts[owner]
    secret = shares.secret(owner)
    if owner in shares.survivors:
        if seed_commitment(session, owner, secret) != advert.self_mask:
            raise BadShare(f"{session.name(owner)!r} shared another self mask than it committed to")
        subtract_mask(total, self_mask_key(session, owner, secret))
        return
    if public_key(secret) != advert.mask_key:
        raise BadShare(f"{session.name(owner)!r} shared another key than it advertised")
    for peer in shares.survivors:
        key = pair_mask_key(session, owner, peer, agree(secret, shares.masking.adverts[peer].mask_key))
        apply = subtract_mask if peer < owner else add_mask
        apply(total, key)


def checked(session: Session, total: Words, survivors: int) -> RingVector:
    """Return the sum of the vectors, if every mask has cancelled and no coordinate is beyond the limit.

    Raises:
        InconsistentSum: If the count coordinates do not say how many clients survived, or the sum is beyond its limit.
    """
    bits, dim = session.parameters.bits, session.parameters.dim
    ring = to_ring(total, bits)
    if not (ring[dim:] == np.uint64(survivors & (2**bits - 1))).all():
        raise InconsistentSum(f"the count coordinates do not say {survivors}: a client masked under other conditions")
    if session.parameters.limit is not None and exceeds(ring[:dim], bits, session.parameters.limit):
        raise InconsistentSum(f"a coordinate of the sum is beyond the limit of {session.parameters.limit}")
    return ring[:dim].copy()
