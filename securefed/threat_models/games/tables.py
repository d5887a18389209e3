"""An encrypted sum whose parties an attack can corrupt: honest clients, and what server and decryptor hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np

from securefed.aggregation import keys
from securefed.aggregation.ciphertexts import unpacked
from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.encrypted_client import read_key
from securefed.aggregation.encrypted_session import DECRYPTOR, EncryptedSession
from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.identity import Federation, Identity
from securefed.aggregation.openers import SealedOpeners
from securefed.aggregation.packing import to_ring, unpack
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.residues import Residues
from securefed.aggregation.seal import SecretKey
from securefed.aggregation.wire import Kind, decode, encode
from securefed.encoding import RingVector
from securefed.plan import Plan
from securefed.rng import Source
from securefed.rounds import parameters_of
from securefed.threat_models import cohorts


@final
@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """An encrypted sum, and the honest clients at it.

    Attributes:
        sums: The sum.
        members: Identities of server and clients.
        deciding: The decryptor's identity.
        honest: The decryptor, as long as nobody corrupts it.
        vectors: What the clients contribute.
        rng: Where their secrets come from.
    """

    sums: HomomorphicSum
    members: Federation
    deciding: Identity
    honest: Decryptor
    vectors: Mapping[str, RingVector] = field(repr=False)
    rng: Source

    @classmethod
    def laid(cls, plan: Plan, vectors: Mapping[str, RingVector], rng: Source) -> Table:
        """Return the first round's sum of a plan, with parties that live as long as this object."""
        members, deciding = Federation.throwaway(plan.cohort, rng=rng), Identity(DECRYPTOR, rng.bytes(32))
        honest = Decryptor(deciding, members.roster, rng=rng)
        parameters = parameters_of(plan, cohorts.world().adapter, run="game", number=1, previous=bytes(DIGEST))
        return cls(HomomorphicSum(parameters, members, decryptor=honest), members, deciding, honest, vectors, rng)

    @property
    def session(self) -> EncryptedSession:
        """What every party knows."""
        return self.sums.session

    def answer(self, place: int, announced: bytes) -> bytes:
        """Return what a client sends when it is told of a key."""
        name = self.sums.parameters.cohort[place]
        return self.sums.client(name, self.vectors[name], rng=self.rng).answer(announced)

    def crafted(self, place: int, announced: bytes, bodies: Residues, openers: Residues) -> bytes:
        """Return what a corrupted client sends: halves of its choice, rightly sealed and signed."""
        session, key = self.session, read_key(self.session, announced)
        packed = [bytes(session.ring.data.pack(half)) for half in (bodies, openers)]
        identity = self.members.clients[self.sums.parameters.cohort[place]]
        sealed = SealedOpeners.seal(session, place, key, *packed, rng=self.rng)
        payload = encode([], [key.fingerprint, b"", packed[0]])
        clear = session.write(Kind.ENCRYPTED, [payload], by=identity, sender=place, receiver=session.server)
        return clear + sealed.write(session, place, by=identity)


@final
class Corrupted:
    """A decryptor that keeps to the protocol and shares what it holds.

    Args:
        session: The sum.
        identity: Its signing key.
        rng: Where the key of boxes comes from.

    Attributes:
        secret: Its key.
        announced: Its PUBLIC_KEY frame.
    """

    def __init__(self, session: EncryptedSession, identity: Identity, rng: Source) -> None:
        self.secret, self._box, self._session = SecretKey(session.ring), rng.bytes(keys.KEY), session
        self._payload = encode([], [bytes(session.ring.keys.pack(self.secret.public())), keys.public_key(self._box)])
        places = {"sender": session.decrypting, "receiver": session.server}
        self.announced = session.write(Kind.PUBLIC_KEY, [self._payload], by=identity, **places)

    def openers(self, answer: bytes, place: int) -> Residues:
        """Return the openers in a client's answer."""
        session, fingerprint = self._session, keys.digest(self._payload)
        sealed = SealedOpeners.read(
            session, place, answer[session.frame_size(Kind.ENCRYPTED) :], fingerprint=fingerprint
        )
        return unpacked(session, sealed.open(session, place, self._box))


def bodies(session: EncryptedSession, answer: bytes, place: int) -> Residues:
    """Return the bodies in a client's answer, as the server reads them."""
    frame = answer[: session.frame_size(Kind.ENCRYPTED)]
    _, (_, _, packed) = decode(
        session.read(Kind.ENCRYPTED, frame, sender=place, receiver=session.server), numbers=0, strings=3
    )
    return unpacked(session, packed)


def what_a_box_says(session: EncryptedSession, answer: bytes, place: int) -> Residues:
    """Return the bytes of a client's box, read as if they were openers: all that a server can make of them."""
    frame = answer[session.frame_size(Kind.ENCRYPTED) :]
    payload = session.read(Kind.OPENERS, frame, sender=place, receiver=session.decrypting)
    box, modulus = decode(payload, numbers=0, strings=4)[1][3], session.ring.data
    shape = modulus.zeros(session.encryption.lanes.plaintexts(session.dim)).shape
    count = int(np.prod(shape))
    read = to_ring(unpack(box[: session.half], dim=count, bits=modulus.bits), modulus.bits).reshape(shape)
    return read % np.array(modulus.primes, dtype=np.uint64)[:, np.newaxis]
