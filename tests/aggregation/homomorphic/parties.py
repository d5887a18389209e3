"""The parties of encrypted sums, taken apart so that a test can stand between them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.encrypted_client import read_key
from securefed.aggregation.encrypted_server import Releasing
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.identity import Federation
from securefed.aggregation.members import Members
from securefed.aggregation.openers import SealedOpeners
from securefed.aggregation.parameters import Parameters
from securefed.aggregation.seal import SecretKey
from securefed.aggregation.wire import Kind, encode
from securefed.rng import secure
from tests.aggregation.cohorts import parameters, vectors


@dataclass
class Parties:
    """A cohort, a decryptor, and what every client sent."""

    public: Parameters = field(default_factory=lambda: parameters(4, dim=10))
    scheme: str = "ckks"
    members: Federation | None = None
    decryptor: Decryptor | None = None

    def __post_init__(self) -> None:
        self.members = self.members or Federation.throwaway(self.public.cohort, rng=secure())
        self.decryptor = self.decryptor or Decryptor.throwaway(self.members.roster, rng=secure())
        self.sum = HomomorphicSum(self.public, self.members, scheme=self.scheme, decryptor=self.decryptor)
        self.inputs = vectors(self.public)

    @property
    def session(self) -> EncryptedSession:
        return self.sum.session

    def announced(self) -> bytes:
        return self.decryptor.public_key(self.session)

    def answer(self, place: int) -> bytes:
        name = self.public.cohort[place]
        return self.sum.client(name, self.inputs[name], rng=secure()).answer(self.announced())

    def releasing(self) -> Releasing:
        return Releasing(self.session, self.members.server, self.decryptor)

    def gathered(self) -> Releasing:
        """The server's side after every client has answered."""
        releasing = self.releasing()
        for place in range(len(self.public.cohort)):
            releasing.add(releasing.read(place, self.answer(place)))
        return releasing

    def secret(self) -> SecretKey:
        """The decryptor's key, for whoever judges a game."""
        self.announced()
        return self.decryptor._open[self.session.context].key.secret

    def signed(self, place: int, payload: bytes, kind: Kind = Kind.ENCRYPTED) -> bytes:
        """A frame with a payload of one's own, rightly signed."""
        receiver = self.session.decrypting if kind == Kind.OPENERS else self.session.server
        identity = self.members.clients[self.public.cohort[place]]
        return self.session.write(kind, [payload], by=identity, sender=place, receiver=receiver)

    def made_up(self, place: int, bodies: np.ndarray, openers: np.ndarray) -> bytes:
        """What a client sends that signs and seals rightly, but encrypts as it likes."""
        session, announced = self.session, read_key(self.session, self.announced())
        packed = [bytes(session.ring.data.pack(half)) for half in (bodies, openers)]
        sealed = SealedOpeners.seal(session, place, announced, *packed, rng=secure())
        identity = self.members.clients[self.public.cohort[place]]
        clear = self.signed(place, encode([], [announced.fingerprint, b"", packed[0]]))
        return clear + sealed.write(session, place, by=identity)

    def release(self, count: int, bodies: np.ndarray) -> bytes:
        """A RELEASE of the first clients, with bodies that somebody chose, signed by the server."""
        session = self.session
        bitmap = Members.of(range(count), session.size).to_bytes()
        payload = encode([], [bitmap, bytes(session.ring.data.pack(bodies))])
        places = {"sender": session.server, "receiver": session.decrypting}
        return session.write(Kind.RELEASE, [payload], by=self.members.server, **places)
