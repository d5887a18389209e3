"""The server of an encrypted sum: it adds bodies, carries sealed openers, and holds no key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from securefed.aggregation.base import ServerRole
from securefed.aggregation.ciphertexts import RunningSum, unpacked
from securefed.aggregation.decryptor import DecryptorRole
from securefed.aggregation.encrypted_session import VOUCHER, EncryptedSession
from securefed.aggregation.identity import Identity
from securefed.aggregation.members import Members
from securefed.aggregation.openers import SealedOpeners
from securefed.aggregation.packing import to_ring, unpack
from securefed.aggregation.refusals import BadBox, InconsistentSum, Malformed, WrongContext
from securefed.aggregation.residues import Residues
from securefed.aggregation.wire import Kind, array_head, decode, string_head
from securefed.encoding import RingVector
from securefed.errors import OutOfTurn, ProtocolError, ThresholdError


@final
class EncryptedServer(ServerRole):
    """The server's part in one encrypted sum.

    Args:
        session: The sum.
        identity: The server's signing key.
        decryptor: Who decrypts.

    Attributes:
        head: SHA-256 of the release, 32 bytes: what the next round's context holds; zeros before.
    """

    def __init__(self, session: EncryptedSession, identity: Identity, decryptor: DecryptorRole) -> None:
        self.head = session.parameters.context.previous
        self._releasing = Releasing(session, identity, decryptor)
        self._refusals: dict[str, str] = {}
        self._session = session
        self._total: RingVector | None = None
        self._phase = "encrypt"

    @property
    def phase(self) -> str:
        """Name of the phase; see :class:`ServerRole`."""
        return self._phase

    @property
    def survivors(self) -> tuple[str, ...]:
        """Names of the clients in the sum; see :class:`ServerRole`."""
        return () if self._total is None else tuple(map(self._session.name, self._releasing.sum.places))

    @property
    def refusals(self) -> Mapping[str, str]:
        """Why answers were put aside; see :class:`ServerRole`."""
        return self._refusals

    def requests(self) -> Mapping[str, bytes]:
        """PUBLIC_KEY to everybody; see :class:`ServerRole`."""
        if self._phase != "encrypt":
            return {}
        return dict.fromkeys(self._session.parameters.cohort, self._releasing.announced)

    def take(self, name: str, answer: bytes) -> None:
        """Add one client's answer as soon as it arrives; those that are late come until :meth:`collect`.

        An answer that is not what its sender owed is put aside under the sender's name.

        Raises:
            OutOfTurn: If the sum is closed.
        """
        if self._phase != "encrypt":
            raise OutOfTurn("the sum is closed: what comes after it was decrypted is in no sum")
        try:
            self._releasing.add(self._releasing.read(self._session.parameters.index(name), answer))
        except (ProtocolError, ValueError) as error:
            self._refusals[name] = f"{type(error).__name__}: {error}"

    def collect(self, answers: Mapping[str, bytes]) -> None:
        """Take the ENCRYPTED vectors and have their sum decrypted; see :class:`ServerRole`."""
        for name, answer in answers.items():
            self.take(name, answer)
        if self._phase != "encrypt":
            raise OutOfTurn("an encrypted sum has one phase")
        self._phase = "aborted"
        total, released = self._releasing.close()
        self.head, self._total, self._phase = hashlib.sha256(released).digest(), total, "done"

    def total(self) -> RingVector:
        """Return the sum; see :class:`ServerRole`."""
        if self._total is None:
            raise OutOfTurn("there is no total before the sum is decrypted")
        return self._total.copy()


@final
@dataclass(frozen=True, slots=True)
class Contribution:
    """What a client sent, checked as far as the server can.

    Attributes:
        place: The client.
        voucher: Under an inner mask, digest and signature of its masked vector.
        bodies: Shape ``(plaintexts, primes, degree)``.
        openers: The OPENERS frame, for the decryptor.
    """

    place: int
    voucher: bytes
    bodies: Residues
    openers: bytes


@final
class Releasing:
    """The server's side of a decryptor's gate.

    Args:
        session: The sum.
        identity: The server's signing key.
        decryptor: Who decrypts.

    Attributes:
        announced: The PUBLIC_KEY frame.
        fingerprint: SHA-256 of the decryptor's keys.
        sum: The sum of the bodies that were taken.
    """

    def __init__(self, session: EncryptedSession, identity: Identity, decryptor: DecryptorRole) -> None:
        self.announced = decryptor.public_key(session)
        self._session = session
        self._identity = identity
        self._decryptor = decryptor
        key = session.read(Kind.PUBLIC_KEY, self.announced, sender=session.decrypting, receiver=session.server)
        self.fingerprint = hashlib.sha256(key).digest()
        self.sum = RunningSum(session)

    def read(self, place: int, data: bytes) -> Contribution:
        """Return what a client sent, after everything about it is checked but the content of the box.

        Raises:
            Replay: If this client is in the sum.
            Malformed: If the frames are not those of this sum, or a number is not below its prime.
            WrongContext: If they were made for another sum, or under other keys.
            WrongSender: If another client made them.
            BadSignature: If the client did not sign them.
            BadBox: If the openers belong to other bodies.
        """
        session, cut = self._session, self._session.frame_size(Kind.ENCRYPTED)
        self.sum.check(place)
        payload = session.read(Kind.ENCRYPTED, data[:cut], sender=place, receiver=session.server)
        _, (fingerprint, voucher, packed) = decode(payload, numbers=0, strings=3)
        if fingerprint != self.fingerprint:
            raise WrongContext("a vector was encrypted under another key than this sum's")
        if len(voucher) != (VOUCHER if session.inner else 0):
            raise Malformed("a voucher comes with an inner mask, and only then")
        bodies = unpacked(session, packed)
        sealed = SealedOpeners.read(session, place, data[cut:], fingerprint=self.fingerprint)
        if sealed.bodies != hashlib.sha256(packed).digest():
            raise BadBox("the openers belong to other bodies")
        return Contribution(place, voucher, bodies, data[cut:])

    def add(self, contribution: Contribution) -> None:
        """Pass the openers on, and add the bodies if the decryptor took them.

        Raises:
            ProtocolError: If the decryptor refuses the openers.
        """
        self._decryptor.take(self._session, contribution.place, contribution.openers)
        self.sum.add(contribution.place, contribution.bodies)

    def close(self) -> tuple[RingVector, bytes]:
        """Return the sum that the decryptor releases, shape ``(session.dim,)``, and its RELEASED frame.

        Raises:
            ThresholdError: If too few clients are in the sum.
            ProtocolError: If the decryptor refuses, or releases something else.
        """
        session = self._session
        if len(self.sum.places) < session.parameters.threshold:
            raise ThresholdError(survivors=len(self.sum.places), threshold=session.parameters.threshold)
        bitmap = Members.of(self.sum.places, session.size).to_bytes()
        asked = [array_head(2) + string_head(len(bitmap)) + bitmap + string_head(session.half)]
        packed = map(session.ring.data.pack, self.sum.total)
        places = {"sender": session.server, "receiver": session.decrypting}
        request = session.write(Kind.RELEASE, [*asked, *packed], by=self._identity, **places)
        released = self._decryptor.release(session, request)
        payload = session.read(Kind.RELEASED, released, sender=session.decrypting, receiver=session.server)
        _, (members, packed_total) = decode(payload, numbers=0, strings=2)
        if members != bitmap:
            raise InconsistentSum("the decryptor released the sum of other clients")
        bits = session.parameters.bits
        return to_ring(unpack(packed_total, dim=session.dim, bits=bits), bits), released
