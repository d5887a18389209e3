"""The client of an encrypted sum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import final

import numpy as np

from securefed.aggregation.base import ClientRole
from securefed.aggregation.ciphertexts import encrypt
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.identity import Identity
from securefed.aggregation.journal import Journal
from securefed.aggregation.openers import Announced, SealedOpeners
from securefed.aggregation.parameters import exceeds
from securefed.aggregation.policy import Policy
from securefed.aggregation.residues import check_opaque
from securefed.aggregation.seal import PublicKey, Ring
from securefed.aggregation.topology import choose
from securefed.aggregation.wire import Buffer, Kind, array_head, decode, string_head
from securefed.encoding import RingVector
from securefed.errors import CapacityError, OutOfTurn
from securefed.rng import Source


@final
class EncryptedClient(ClientRole):
    """One client's part in one encrypted sum.

    The coins of encryption come from SEAL's own generator.

    Args:
        session: What this client was told about the sum, the decryptor's key among it.
        identity: Its signing key; the name must be in the cohort.
        vector: Its vector, shape ``(dim,)``, coordinates below ``2**bits``; or what makes it, called at most once: when
            it is due, after the journal has noted that it leaves. So a sum that fails before costs no budget.
        rng: Where the key of the box for its openers comes from; :func:`securefed.rng.secure` in use.
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
        vector: RingVector | Callable[[], RingVector],
        *,
        rng: Source,
        policy: Policy | None = None,
        journal: Journal | None = None,
    ) -> None:
        public = session.parameters
        if policy is not None:
            policy.check(public, public.topology or choose(session.size, public.threshold))
        if isinstance(vector, np.ndarray):
            _check(session, identity.name, vector)
        self.name = identity.name
        self._place = public.index(identity.name)
        self._session = session
        self._identity = identity
        self._journal = journal
        self._rng = rng
        self._vector: RingVector | Callable[[], RingVector] | None = vector

    def answer(self, request: bytes) -> bytes:
        """PUBLIC_KEY to ENCRYPTED and OPENERS: encrypt, seal, sign, forget; see :class:`ClientRole`."""
        vector, self._vector = self._vector, None
        if vector is None:
            raise OutOfTurn("this client has encrypted its vector, or has refused to")
        announced = read_key(self._session, request)
        if self._journal is not None:
            self._journal.take_part(self._session.parameters.context)
        if not isinstance(vector, np.ndarray):
            vector = vector()
            _check(self._session, self.name, vector)
        return contribution(self._session, announced, self._identity, vector, rng=self._rng)


def _check(session: EncryptedSession, name: str, vector: RingVector) -> None:
    public, summand = session.parameters, session.encryption.lanes.summand
    public.check(name, vector)
    if summand < 2 ** (public.bits - 1) and exceeds(vector, public.bits, summand):
        raise CapacityError(f"the vector of {name!r} holds a magnitude above {summand}; nothing was sent")


def contribution(
    session: EncryptedSession,
    announced: Announced,
    identity: Identity,
    vector: RingVector,
    *,
    rng: Source,
    voucher: bytes = b"",
) -> bytes:
    """Return a client's ENCRYPTED frame, followed by its OPENERS frame.

    Args:
        session: The sum.
        announced: The decryptor's keys.
        identity: The client.
        vector: Shape ``(session.dim,)``.
        rng: Where the key of the box comes from.
        voucher: Under an inner mask, digest and signature of the masked vector.
    """
    place = session.parameters.index(identity.name)
    bodies, openers = encrypt(session, announced.lattice, vector)
    sealed = SealedOpeners.seal(session, place, announced, bodies, openers, rng=rng)
    fields: list[Buffer] = [announced.fingerprint, voucher, bodies]
    payload: list[Buffer] = [array_head(len(fields))]
    for field in fields:
        payload += [string_head(len(field)), field]
    clear = session.write(Kind.ENCRYPTED, payload, by=identity, sender=place, receiver=session.server)
    return clear + sealed.write(session, place, by=identity)


def read_key(session: EncryptedSession, data: bytes) -> Announced:
    """Return the keys of a PUBLIC_KEY frame.

    Raises:
        ProtocolError: If the decryptor did not sign them for this sum, or encryption under them would hide nothing.
    """
    payload = session.read(Kind.PUBLIC_KEY, data, sender=session.decrypting, receiver=session.server)
    _, (packed, box) = decode(payload, numbers=0, strings=2)
    return Announced(_parsed(session.ring, packed), box, hashlib.sha256(payload).digest())


@lru_cache(maxsize=4)
def _parsed(ring: Ring, packed: bytes) -> PublicKey:
    """Return the public key of some bytes; remembered, because in one process many clients have the same."""
    residues = ring.keys.unpack(packed)
    check_opaque(residues)
    return PublicKey(ring, residues)
