"""The decryptor: the only party with a key, and the gate through which a sum leaves.

CKKS and BFV hide messages from whoever has no key; they promise nothing if ciphertexts of the adversary's choice are
decrypted, and approximate CKKS not even if its own sums are (Li and Micciancio 2021, "On the Security of Homomorphic
Encryption on Approximate Numbers"). So the key is not where the ciphertexts are gathered, and what is decrypted is
never somebody else's choice:

* the decryptor adds the signed openers itself, each client's once, and gets bodies only as their sum, so that what it
  decrypts holds every client's vector whose openers came, whoever made up the bodies; it could open no single one;
* it decrypts one sum in one context, and one for one model, of at least ``minimum_cohort`` clients and the threshold;
* it releases whole numbers modulo the ring, after it rounded them: exactly what the clients' integers add to, so they
  hold nothing of the key, which the noise does;
* a sum with more noise than honest clients can have made, or beyond its limit, is not released; that refusal says
  nothing about noise or content, and retires the key;
* a key serves at most ``budget`` sums.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import final

import numpy as np

from securefed.aggregation.ciphertexts import RunningSum, unpacked
from securefed.aggregation.encrypted_session import DECRYPTOR, EncryptedSession
from securefed.aggregation.encryption import Encryption
from securefed.aggregation.identity import Identity, Roster
from securefed.aggregation.journal import Journal
from securefed.aggregation.keys import KEY, public_key
from securefed.aggregation.members import Members
from securefed.aggregation.openers import SealedOpeners
from securefed.aggregation.packing import pack
from securefed.aggregation.parameters import exceeds
from securefed.aggregation.refusals import InconsistentSum, PolicyViolation, Replay, WrongContext
from securefed.aggregation.residues import Residues, check_opaque
from securefed.aggregation.seal import SecretKey
from securefed.aggregation.wire import Kind, decode, encode
from securefed.encoding import RingVector
from securefed.errors import ConfigError, OutOfTurn, ThresholdError
from securefed.rng import Source

LEAST_COHORT = 2
"""Nobody can set a lower floor: the sum of one vector is that vector."""


class DecryptorRole(ABC):
    """What an aggregator asks of a decryptor, in the same process or at the end of a wire."""

    @abstractmethod
    def public_key(self, session: EncryptedSession) -> bytes:
        """Return the PUBLIC_KEY frame of a sum.

        Raises:
            PolicyViolation: If the cohort is below the floor.
            Replay: If the context, a later one or its model is spent.
            WrongContext: If it was made for another roster or decryptor.
        """

    @abstractmethod
    def take(self, session: EncryptedSession, place: int, data: bytes) -> None:
        """Add what is in a client's OPENERS frame.

        Raises:
            Replay: If this client is in the sum.
            Malformed: If frame, box or polynomials are not those of this sum, or a number is not below its prime.
            WrongContext: If it was made for another sum, or under other keys.
            WrongSender: If another client made it.
            BadSignature: If the client did not sign it.
            BadBox: If the box was made for another sum, client, key or bodies.
            Transparent: If openers are nothing, so that the bodies would be.
        """

    @abstractmethod
    def release(self, session: EncryptedSession, request: bytes) -> bytes:
        """Return the RELEASED frame for the aggregator's RELEASE.

        Raises:
            ThresholdError: If too few clients are in the sum; nothing is spent.
            Replay: If this context was released.
            InconsistentSum: If the bodies are those of other clients, or the sum is not one of honest clients; in the
                latter case the key is retired.
        """


@final
@dataclass(slots=True)
class _Key:
    """A key, the X25519 key of the boxes that go with it, and how many sums it has been given to."""

    secret: SecretKey
    box: bytes
    payload: bytes
    uses: int = field(default=0)

    @classmethod
    def drawn(cls, session: EncryptedSession, rng: Source) -> _Key:
        """Return a fresh key; the lattice's comes from SEAL's own generator."""
        secret, box = SecretKey(session.ring), rng.bytes(KEY)
        packed = bytes(session.ring.keys.pack(secret.public()))
        return cls(secret, box, encode([], [packed, public_key(box)]))

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of what is announced."""
        return hashlib.sha256(self.payload).digest()


@final
@dataclass(slots=True)
class _Open:
    """A sum between its public key and its release."""

    key: _Key
    announced: bytes
    sum: RunningSum


@final
class Decryptor(DecryptorRole):
    """A decryptor that keeps its keys in memory; with the process they are gone.

    Args:
        identity: Its signing key, known to every party as ``EncryptedSession.decryptor``.
        roster: Who is who.
        rng: Where the keys of boxes come from; :func:`securefed.rng.secure` in use.
        minimum_cohort: Least number of clients in a released sum.
        budget: Sums that a key serves before another takes its place.
        journal: What it remembers of earlier sums across restarts; None remembers as long as it lives.

    Raises:
        ConfigError: If the floor is below two clients, or the budget below one sum.
    """

    def __init__(
        self,
        identity: Identity,
        roster: Roster,
        *,
        rng: Source,
        minimum_cohort: int = 3,
        budget: int = 1,
        journal: Journal | None = None,
    ) -> None:
        if minimum_cohort < LEAST_COHORT or budget < 1:
            raise ConfigError(
                f"minimum_cohort is {minimum_cohort} and budget {budget}; at least {LEAST_COHORT} clients and 1 sum"
            )
        self.public = identity.public
        self._identity = identity
        self._roster = roster
        self._rng = rng
        self._floor = minimum_cohort
        self._budget = budget
        self._journal = journal
        self._keys: dict[Encryption, _Key] = {}
        self._open: dict[bytes, _Open] = {}
        self._latest: dict[str, tuple[int, int]] = {}
        self._spent: set[tuple[str, bytes]] = set()

    @classmethod
    def throwaway(cls, roster: Roster, *, rng: Source, minimum_cohort: int = 3) -> Decryptor:
        """Return a decryptor whose identity lives as long as this object."""
        return cls(Identity(DECRYPTOR, rng.bytes(32)), roster, rng=rng, minimum_cohort=minimum_cohort)

    def __reduce__(self) -> str:
        raise TypeError("a decryptor is not pickled: it holds secret keys")

    def public_key(self, session: EncryptedSession) -> bytes:
        """Return the PUBLIC_KEY frame; see :class:`DecryptorRole`."""
        if (opened := self._open.get(session.context)) is None:
            self._check(session)
            opened = self._open[session.context] = self._opened(session)
        return opened.announced

    def take(self, session: EncryptedSession, place: int, data: bytes) -> None:
        """Add what is in a client's OPENERS frame; see :class:`DecryptorRole`."""
        opened = self._find(session)
        opened.sum.check(place)
        sealed = SealedOpeners.read(session, place, data, fingerprint=opened.key.fingerprint)
        openers = unpacked(session, sealed.open(session, place, opened.key.box))
        check_opaque(openers)
        opened.sum.add(place, openers)

    def release(self, session: EncryptedSession, request: bytes) -> bytes:
        """Return the RELEASED frame; see :class:`DecryptorRole`."""
        opened = self._find(session)
        places = opened.sum.places
        needed = max(self._floor, session.parameters.threshold)
        if len(places) < needed:
            raise ThresholdError(survivors=len(places), threshold=needed)
        payload = session.read(Kind.RELEASE, request, sender=session.server, receiver=session.decrypting)
        _, (bitmap, packed) = decode(payload, numbers=0, strings=2)
        if bitmap != Members.of(places, session.size).to_bytes():
            raise InconsistentSum("the bodies are not those of the clients whose openers came")
        bodies = unpacked(session, packed)
        self._spend(session)
        return self._write(session, bitmap, self._decrypted(session, opened, bodies))

    def _check(self, session: EncryptedSession) -> None:
        context = session.parameters.context
        if session.roster.root != self._roster.root or session.decryptor != self.public:
            raise WrongContext("the sum was made for another roster or decryptor than the pinned ones")
        if session.size < self._floor:
            raise PolicyViolation(f"the cohort has {session.size} clients, this decryptor demands {self._floor}")
        if (context.task, context.model) in self._spent:
            raise Replay(f"a sum for this model of {context.task!r} was released before")
        if (context.round, context.attempt) <= self._latest.get(context.task, (-1, -1)):
            raise Replay(f"round {context.round}, attempt {context.attempt} of {context.task!r} has begun before")
        if self._journal is not None:
            self._journal.begin(context)
        self._latest[context.task] = (context.round, context.attempt)

    def _opened(self, session: EncryptedSession) -> _Open:
        key = self._keys.get(session.encryption)
        if key is None or key.uses >= self._budget:
            key = self._keys[session.encryption] = _Key.drawn(session, self._rng)
        key.uses += 1
        places = {"sender": session.decrypting, "receiver": session.server}
        announced = session.write(Kind.PUBLIC_KEY, [key.payload], by=self._identity, **places)
        return _Open(key, announced, RunningSum(session))

    def _find(self, session: EncryptedSession) -> _Open:
        context = session.parameters.context
        if (opened := self._open.get(session.context)) is not None:
            return opened
        if (context.task, context.model) in self._spent:
            raise Replay("this context was released before; there is one release in a context")
        raise OutOfTurn("no key was given out for this sum")

    def _spend(self, session: EncryptedSession) -> None:
        """Note, before anything is decrypted, that this context and its model have had their release."""
        context = session.parameters.context
        if self._journal is not None:
            self._journal.contribute(context)
            self._journal.reveal(session.context)
        self._spent.add((context.task, context.model))
        del self._open[session.context]

    def _decrypted(self, session: EncryptedSession, opened: _Open, bodies: Residues) -> RingVector:
        """Return the sum that bodies and openers make, or retire the key: what fails is not tried again under it."""
        try:
            total = decrypted(session, opened.key.secret, bodies, opened.sum.total)
            consistent = _within(session, total)
        except InconsistentSum:
            consistent = False
        if not consistent:
            self._retire(opened.key)
            raise InconsistentSum("the sum is not one that these clients can have; nothing is released")
        return total

    def _retire(self, key: _Key) -> None:
        """Forget a key, and every sum that waits for it."""
        self._keys = {encryption: other for encryption, other in self._keys.items() if other is not key}
        self._open = {context: other for context, other in self._open.items() if other.key is not key}

    def _write(self, session: EncryptedSession, bitmap: bytes, total: RingVector) -> bytes:
        payload = encode([], [bitmap, bytes(pack(total, session.parameters.bits))])
        places = {"sender": session.decrypting, "receiver": session.server}
        return session.write(Kind.RELEASED, [payload], by=self._identity, **places)


def decrypted(session: EncryptedSession, key: SecretKey, bodies: Residues, openers: Residues) -> RingVector:
    """Return the content of ciphertexts, shape ``(session.dim,)``, in the ring.

    Raises:
        InconsistentSum: If it is not that of a planned sum: too much noise, or beyond what clients may reach.
    """
    lanes, dim = session.encryption.lanes, session.dim
    total = np.empty(dim, dtype=np.uint64)
    for start, body, opener in zip(range(0, dim, lanes.coordinates), bodies, openers, strict=True):
        count = min(lanes.coordinates, dim - start)
        total[start : start + count] = lanes.decode(key.open(np.stack([body, opener])), count)
    return total


def _within(session: EncryptedSession, total: RingVector) -> bool:
    """Tell whether a sum is within the limit; under an inner mask it is uniform, and has none."""
    limit = session.parameters.limit
    return limit is None or bool(session.inner) or not exceeds(total, session.parameters.bits, limit)
