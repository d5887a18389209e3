"""The parties of encrypted sums, taken apart so that a test can stand between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.encrypted_server import Releasing
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.identity import Federation
from securefed.aggregation.parameters import Parameters
from securefed.aggregation.wire import Kind
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

    def signed(self, place: int, payload: bytes) -> bytes:
        """An ENCRYPTED frame with a payload of one's own, rightly signed."""
        places = {"sender": place, "receiver": self.session.server}
        identity = self.members.clients[self.public.cohort[place]]
        return self.session.write(Kind.ENCRYPTED, [payload], by=identity, **places)
