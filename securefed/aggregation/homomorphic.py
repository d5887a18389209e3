"""The encrypted sum: vectors are encrypted, added by a server without a key, and decrypted only as a sum.

One phase between server and clients, and two messages between server and decryptor:

======== ===================== =========================================================================
encrypt  PUBLIC_KEY, ENCRYPTED clients encrypt under the decryptor's key: bodies for the server, and
.        and OPENERS           openers, sealed for the decryptor; both signed
.        RELEASE, RELEASED     the server sends the sum of the bodies, the decryptor adds the openers
.                              itself and releases whole numbers
======== ===================== =========================================================================

A ciphertext is ``(c0, c1)`` with content ``c0 + c1 s``, up to noise, and no party has both halves of one:

* **The server, with any clients.** It has the bodies ``c0 = u b + e + m``, the public key ``(b, a)`` and the total, no
  ``s`` and no ``c1 = u a + e'``. A body is as good as random to it under ring learning with errors: ``u`` is fresh and
  secret. The openers of an honest client nobody else has seen, so no client can cancel them: whatever bodies the server
  claims and whatever openers its clients send, the decryptor computes the weighted sum of the honest vectors of a
  cohort that passed its floor, plus a polynomial and a multiple of ``s`` of their choice. They learn the sum of the
  honest vectors, as from every sum. They can learn ``s`` (a client sends ``(0, k)``), and ``s`` opens no body without
  its opener: given ``s`` and ``e``, ``b = -(a s + e)`` is still uniform, because ``a`` is and ``s`` can be inverted but
  for a chance of about ``degree / prime``, so bodies stay as random as before.
* **The decryptor, with any clients.** It has ``s``, every opener and the sum of the bodies. Openers and noise do not
  depend on vectors. So under CKKS what it has is a function of coins and of the weighted sum of the honest vectors: it
  learns that sum and, whatever it computes, nothing else. Under BFV the noise also holds what rounding ``q m / t`` to
  whole numbers left over, at most one for each vector.
* **Server and decryptor together** open every vector, and so does a decryptor that reads what the server receives; with
  ``inner_mask`` (:mod:`securefed.aggregation.inner_mask`) they find masked vectors, and learn only the sum.

A server that lies about the sum of the bodies shifts the total by what it likes, as a client that sends another vector
does; nothing here proves the contrary. Whether such a sum is refused is one bit, and a refusal retires the key; a sum
that passes the check of noise rounds to one value whatever the noise (:data:`securefed.aggregation.noise.MARGIN`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

from securefed.aggregation.base import ClientRole, SecureSum
from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.encrypted_client import EncryptedClient
from securefed.aggregation.encrypted_server import EncryptedServer
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.encryption import Encryption, Scheme, choose
from securefed.aggregation.identity import Federation
from securefed.aggregation.inner_mask import InnerMaskClient, InnerMaskServer
from securefed.aggregation.journal import Journal
from securefed.aggregation.masked_client import LEAST, MaskedClient
from securefed.aggregation.parameters import Parameters
from securefed.aggregation.policy import Policy
from securefed.aggregation.session import Session
from securefed.encoding import RingVector
from securefed.errors import ConfigError
from securefed.rng import Source, secure


@final
@dataclass(frozen=True)
class HomomorphicSum(SecureSum):
    """Encrypted sums in one process, with a decryptor that is an object of its own.

    Guarantees:
        * The total equals that of :class:`securefed.aggregation.plain.PlainSum` over the survivors, bit for bit (with
          weights: over as many copies of each vector), or the sum is aborted with an error.

    Attributes:
        parameters: What everybody knows about this sum.
        members: The parties' identities; by default fresh ones that live as long as this object.
        scheme: ``"ckks"`` or ``"bfv"``.
        decryptor: Who decrypts; by default one that lives as long as this object. It must know this roster.
        summand: Largest magnitude of one client's coordinate, read as a signed number; by default the parameters'
            limit, or any ring element. The smaller, the fewer bytes.
        weights: Public whole weights by name; those without one weigh 1.
        inner_mask: Mask vectors before they are encrypted.
        policy: The floor of every client; None demands what the parameters do.
        journals: What clients remember of earlier sums, by name; those without one remember nothing.

    Raises:
        ConfigError: If a client of the cohort has no identity, or a weight is for nobody or below 1.
        CapacityError: If no encryption of 128 bits of security adds these vectors exactly.
    """

    parameters: Parameters
    members: Federation | None = None
    scheme: Scheme = "ckks"
    decryptor: Decryptor | None = None
    summand: int | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    inner_mask: bool = False
    policy: Policy | None = None
    journals: Mapping[str, Journal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a cohort of strangers, and a sum that could not be exact."""
        if missing := set(self.parameters.cohort) - set(self._federation.clients):
            raise ConfigError(f"{sorted(missing)} are in the cohort but have no identity")
        if unknown := set(self.weights) - set(self.parameters.cohort):
            raise ConfigError(f"{sorted(unknown)} have a weight but are not in the cohort")
        if self.inner_mask and self.weights:
            raise ConfigError("weighted masks do not cancel: use weights or inner_mask, not both")
        if min(self._counts) < 1:
            raise ConfigError(f"weights are whole numbers from 1, the smallest is {min(self._counts)}")
        _ = self.session

    @property
    def encryption(self) -> Encryption:
        """How vectors are encrypted: what a preview shows."""
        return self.session.encryption

    def client(self, name: str, vector: RingVector, *, rng: Source) -> ClientRole:
        """Return the role of one client; see :class:`SecureSum`."""
        self.parameters.index(name)
        identity, journal = self._federation.clients[name], self.journals.get(name)
        if not self.inner_mask:
            return EncryptedClient(self.session, identity, vector, rng=rng, policy=self.policy, journal=journal)
        policy = self.policy or LEAST
        masked = MaskedClient(self._masked, identity, vector, rng=rng, policy=policy, journal=journal)
        return InnerMaskClient(self.session, self._masked, identity, masked, rng=rng)

    def server(self) -> EncryptedServer | InnerMaskServer:
        """Return the role of the server."""
        identity = self._federation.server
        if self.inner_mask:
            return InnerMaskServer(self.session, self._masked, identity, self._decryptor)
        return EncryptedServer(self.session, identity, self._decryptor)

    @cached_property
    def session(self) -> EncryptedSession:
        """What every party knows."""
        public, dim = self.parameters, self._masked.length if self.inner_mask else self.parameters.dim
        summand = None if self.inner_mask else self.summand or public.limit
        encryption = choose(self.scheme, bits=public.bits, summand=summand, weight=sum(self._counts), dim=dim)
        return EncryptedSession(
            public,
            self._federation.roster,
            self._decryptor.public,
            encryption,
            self._counts,
            dim,
            self._masked.context if self.inner_mask else b"",
        )

    @property
    def _counts(self) -> tuple[int, ...]:
        return tuple(self.weights.get(name, 1) for name in self.parameters.cohort)

    @cached_property
    def _federation(self) -> Federation:
        return self.members or Federation.throwaway(self.parameters.cohort, rng=secure())

    @cached_property
    def _decryptor(self) -> Decryptor:
        return self.decryptor or Decryptor.throwaway(self._federation.roster, rng=secure())

    @cached_property
    def _masked(self) -> Session:
        return Session(self.parameters, self._federation.roster)
