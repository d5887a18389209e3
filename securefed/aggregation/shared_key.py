"""The arrangement in which clients share one key: for comparison, and for those who must live with it.

Every client can decrypt every other client's ciphertext, so one client that works with the aggregator gives all vectors
away, and a sum has no gate: clients open what the aggregator hands them. It is built only if asked for by name, warns,
and is refused if the aggregator sees totals as well. Use :class:`securefed.aggregation.homomorphic.HomomorphicSum`.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np

from securefed.aggregation.base import ClientRole, SecureSum, ServerRole
from securefed.aggregation.ciphertexts import RunningSum, encrypt, unpacked
from securefed.aggregation.decryptor import decrypted
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.encryption import Scheme, choose
from securefed.aggregation.identity import Federation, Identity
from securefed.aggregation.members import Members
from securefed.aggregation.parameters import Parameters
from securefed.aggregation.refusals import PolicyViolation, WrongContext
from securefed.aggregation.residues import check_opaque
from securefed.aggregation.seal import PublicKey, SecretKey
from securefed.aggregation.wire import Kind, array_head, decode, encode, string_head
from securefed.encoding import RingVector
from securefed.errors import OutOfTurn, ProtocolError, ThresholdError
from securefed.rng import Source, secure

WARNING = (
    "clients share one decryption key: one client that works with the aggregator reads every client's vector. "
    "A decryptor of its own, or masks, do not have this weakness"
)


class SharedKeyWarning(UserWarning):
    """One client that works with the aggregator reads every client's vector."""


@final
@dataclass(frozen=True)
class SharedKeySum(SecureSum):
    """Encrypted sums that the clients decrypt, each with the same key; the server learns no total.

    Attributes:
        parameters: What everybody knows about this sum.
        clients_share_key: Must be True: it says that the weakness is known.
        aggregator_sees_totals: Whether the aggregator learns decrypted sums, by whatever way; must be False.
        members: The parties' identities; by default fresh ones.
        scheme: ``"ckks"`` or ``"bfv"``.

    Raises:
        PolicyViolation: If the arrangement was not asked for, or the aggregator sees totals: with ciphertexts, totals
            and one client it would see everything.
    """

    parameters: Parameters
    clients_share_key: bool
    aggregator_sees_totals: bool
    members: Federation | None = None
    scheme: Scheme = "ckks"
    _shared: _Shared = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what was not asked for, and warn of what was."""
        if not self.clients_share_key:
            raise PolicyViolation("clients share no key unless clients_share_key says so; use HomomorphicSum")
        if self.aggregator_sees_totals:
            raise PolicyViolation("an aggregator that sees totals cannot be combined with a key that clients share")
        warnings.warn(WARNING, SharedKeyWarning, stacklevel=3)
        members = self.members or Federation.throwaway(self.parameters.cohort, rng=secure())
        object.__setattr__(self, "_shared", _Shared.of(self.parameters, members, self.scheme))

    def client(self, name: str, vector: RingVector, *, rng: Source) -> SharedKeyClient:
        """Return the role of one client; the coins of encryption are SEAL's own."""
        self.parameters.check(name, vector)
        return SharedKeyClient(self._shared, self._shared.members.clients[name], vector)

    def server(self) -> SharedKeyServer:
        """Return the role of the server."""
        return SharedKeyServer(self._shared.session, self._shared.members.server, self._shared.fingerprint)


@final
@dataclass(frozen=True, repr=False)
class _Shared:
    """What every client holds."""

    session: EncryptedSession
    members: Federation
    secret: SecretKey
    public: PublicKey
    fingerprint: bytes

    @classmethod
    def of(cls, parameters: Parameters, members: Federation, scheme: Scheme) -> _Shared:
        weight, dim = len(parameters.cohort), parameters.dim
        encryption = choose(scheme, bits=parameters.bits, summand=parameters.limit, weight=weight, dim=dim)
        nobody = hashlib.sha256(b"securefed/1/no decryptor").digest()
        session = EncryptedSession(parameters, members.roster, nobody, encryption, (1,) * weight, dim)
        secret = SecretKey(session.ring)
        residues = secret.public()
        fingerprint = hashlib.sha256(session.ring.keys.pack(residues)).digest()
        return cls(session, members, secret, PublicKey(session.ring, residues), fingerprint)


@final
class SharedKeyClient(ClientRole):
    """A client that encrypts, and later opens the sum that the aggregator returns."""

    def __init__(self, shared: _Shared, identity: Identity, vector: RingVector) -> None:
        self._shared = shared
        self._identity = identity
        self._place = shared.session.parameters.index(identity.name)
        self._vector: RingVector | None = vector
        self._total: RingVector | None = None

    def answer(self, request: bytes) -> bytes:
        """Nothing to WHOLE, then SUM to OPENED; see :class:`ClientRole`."""
        session, places = self._shared.session, {"sender": self._place, "receiver": self._shared.session.server}
        vector, self._vector = self._vector, None
        if vector is not None:
            packed = b"".join(encrypt(session, self._shared.public, vector))
            payload = encode([], [self._shared.fingerprint, packed])
            return session.write(Kind.WHOLE, [payload], by=self._identity, **places)
        if self._total is not None:
            raise OutOfTurn("this client has opened its sum")
        opened = session.read(Kind.SUM, request, sender=session.server, receiver=session.server)
        self._total = self._open(opened)
        return session.write(Kind.OPENED, [encode([], [hashlib.sha256(opened).digest()])], by=self._identity, **places)

    def total(self) -> RingVector:
        """Return the sum, shape ``(dim,)``, in the ring.

        Raises:
            OutOfTurn: If the sum has not come back.
        """
        if self._total is None:
            raise OutOfTurn("there is no total before the sum comes back")
        return self._total

    def _open(self, payload: bytes) -> RingVector:
        session = self._shared.session
        _, (bitmap, packed) = decode(payload, numbers=0, strings=2)
        if len(Members.read(bitmap, session.size)) < session.parameters.threshold:
            raise PolicyViolation("the aggregator returns the sum of fewer clients than the threshold")
        bodies, openers = np.split(unpacked(session, packed, halves=2), 2)
        return decrypted(session, self._shared.secret, bodies, openers)


@final
class SharedKeyServer(ServerRole):
    """A server that adds, and hands the sum back to the clients."""

    def __init__(self, session: EncryptedSession, identity: Identity, fingerprint: bytes) -> None:
        self._session = session
        self._identity = identity
        self._fingerprint = fingerprint
        self._sum = RunningSum(session, halves=2)
        self._refusals: dict[str, str] = {}
        self._phase = "encrypt"

    @property
    def phase(self) -> str:
        """Name of the phase; see :class:`ServerRole`."""
        return self._phase

    @property
    def survivors(self) -> tuple[str, ...]:
        """Names of the clients in the sum; see :class:`ServerRole`."""
        return () if self._phase == "encrypt" else tuple(map(self._session.name, self._sum.places))

    @property
    def refusals(self) -> Mapping[str, str]:
        """Why answers were put aside; see :class:`ServerRole`."""
        return self._refusals

    def requests(self) -> dict[str, bytes]:
        """Nothing to everybody, then SUM to everybody in it; see :class:`ServerRole`."""
        if self._phase == "encrypt":
            return dict.fromkeys(self._session.parameters.cohort, b"")
        return dict.fromkeys(self.survivors, self._returned()) if self._phase == "open" else {}

    def collect(self, answers: Mapping[str, bytes]) -> None:
        """Take the WHOLE vectors, then note that the sum was opened; see :class:`ServerRole`."""
        if self._phase not in ("encrypt", "open"):
            raise OutOfTurn("the sum is done or was aborted")
        phase, self._phase = self._phase, "aborted"
        kept = [name for name, answer in answers.items() if self._taken(phase, name, answer)]
        if len(kept) < (threshold := self._session.parameters.threshold):
            raise ThresholdError(survivors=len(kept), threshold=threshold)
        self._phase = "open" if phase == "encrypt" else "done"

    def total(self) -> RingVector:
        """Refuse: this server has no key.

        Raises:
            OutOfTurn: Always.
        """
        raise OutOfTurn("the clients have the total; an aggregator that sees it is refused in this arrangement")

    def _taken(self, phase: str, name: str, answer: bytes) -> bool:
        try:
            place = self._session.parameters.index(name)
            if phase == "encrypt":
                self._take(place, answer)
            else:
                self._session.read(Kind.OPENED, answer, sender=place, receiver=self._session.server)
        except (ProtocolError, ValueError) as error:
            self._refusals[name] = f"{type(error).__name__}: {error}"
            return False
        return True

    def _take(self, place: int, answer: bytes) -> None:
        session = self._session
        self._sum.check(place)
        payload = session.read(Kind.WHOLE, answer, sender=place, receiver=session.server)
        _, (fingerprint, packed) = decode(payload, numbers=0, strings=2)
        if fingerprint != self._fingerprint:
            raise WrongContext("a vector was encrypted under another key than this sum's")
        both = unpacked(session, packed, halves=2)
        check_opaque(np.split(both, 2)[1])
        self._sum.add(place, both)

    def _returned(self) -> bytes:
        session, size = self._session, 2 * self._session.half
        bitmap = Members.of(self._sum.places, session.size).to_bytes()
        head = array_head(2) + string_head(len(bitmap)) + bitmap + string_head(size)
        packed = map(session.ring.data.pack, self._sum.total)
        places = {"sender": session.server, "receiver": session.server}
        return session.write(Kind.SUM, [head, *packed], by=self._identity, **places)
