"""The client of an encrypted sum."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import final

from securefed.aggregation.base import ClientRole
from securefed.aggregation.ciphertexts import encrypted
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.identity import Identity
from securefed.aggregation.journal import Journal
from securefed.aggregation.parameters import exceeds
from securefed.aggregation.policy import Policy
from securefed.aggregation.seal import PublicKey, Ring
from securefed.aggregation.topology import choose
from securefed.aggregation.wire import Kind, decode
from securefed.encoding import RingVector
from securefed.errors import CapacityError, OutOfTurn


@final
class EncryptedClient(ClientRole):
    """One client's part in one encrypted sum.

    The coins of encryption come from SEAL's own generator; nothing else is drawn.

    Args:
        session: What this client was told about the sum, the decryptor's key among it.
        identity: Its signing key; the name must be in the cohort.
        vector: Its vector, shape ``(dim,)``, coordinates below ``2**bits``.
        policy: The floor that its owner set; None demands what the session does.
        journal: What it remembers of earlier sums; None remembers nothing beyond this one.

    Raises:
        PolicyViolation: If the sum is below the floor.
        ConfigError: If the name or the vector does not fit the parameters.
        CapacityError: If a coordinate is larger than the encryption has room for.
    """

    def __init__(
        self,
        session: EncryptedSession,
        identity: Identity,
        vector: RingVector,
        *,
        policy: Policy | None = None,
        journal: Journal | None = None,
    ) -> None:
        public = session.parameters
        if policy is not None:
            policy.check(public, public.topology or choose(session.size, public.threshold))
        public.check(identity.name, vector)
        summand = session.encryption.lanes.summand
        if summand < 2 ** (public.bits - 1) and exceeds(vector, public.bits, summand):
            raise CapacityError(f"the vector of {identity.name!r} holds a magnitude above {summand}; nothing was sent")
        self.name = identity.name
        self._place = public.index(identity.name)
        self._session = session
        self._identity = identity
        self._journal = journal
        self._vector: RingVector | None = vector

    def answer(self, request: bytes) -> bytes:
        """PUBLIC_KEY to ENCRYPTED: encrypt, sign, forget; see :class:`ClientRole`."""
        vector, self._vector = self._vector, None
        if vector is None:
            raise OutOfTurn("this client has encrypted its vector, or has refused to")
        key, fingerprint = read_key(self._session, request)
        if self._journal is not None:
            self._journal.begin(self._session.parameters.context)
            self._journal.contribute(self._session.parameters.context)
        payload = encrypted(self._session, key, fingerprint, vector)
        places = {"sender": self._place, "receiver": self._session.server}
        return self._session.write(Kind.ENCRYPTED, payload, by=self._identity, **places)


def read_key(session: EncryptedSession, data: bytes) -> tuple[PublicKey, bytes]:
    """Return the public key of a PUBLIC_KEY frame, and its fingerprint.

    Raises:
        ProtocolError: If the decryptor did not sign it for this sum.
    """
    payload = session.read(Kind.PUBLIC_KEY, data, sender=session.decrypting, receiver=session.server)
    _, (packed,) = decode(payload, numbers=0, strings=1)
    return _parsed(session.ring, packed), hashlib.sha256(packed).digest()


@lru_cache(maxsize=4)
def _parsed(ring: Ring, packed: bytes) -> PublicKey:
    """Return the public key of some bytes; remembered, because in one process many clients have the same."""
    return PublicKey(ring, ring.keys.unpack(packed)[0])
