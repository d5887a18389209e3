"""The openers of one client, sealed for the decryptor and carried by the server.

The server would need openers to make ciphertexts of other clients cancel, or to read one with the key; so it sees none.
They travel in a box: X25519 between a key of this box alone and the decryptor's (RFC 7748), HKDF-SHA256 over the shared
secret with both public keys (RFC 5869), AES-256-GCM. The associated data name the sum, the client, the keys and the
bodies that the openers belong to, so a box opens in its own place only; the frame around it is signed by the client.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import final

from securefed.aggregation import keys
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.identity import Identity
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.refusals import Malformed, WrongContext
from securefed.aggregation.seal import PublicKey
from securefed.aggregation.wire import Buffer, Kind, decode, encode
from securefed.rng import Source


@final
@dataclass(frozen=True, slots=True)
class Announced:
    """What a decryptor announces for a sum.

    Attributes:
        lattice: The key under which vectors are encrypted.
        box: The X25519 key to which openers are sealed.
        fingerprint: SHA-256 of both, as they were sent.
    """

    lattice: PublicKey
    box: bytes
    fingerprint: bytes


@final
@dataclass(frozen=True, slots=True)
class SealedOpeners:
    """The payload of an OPENERS frame.

    Attributes:
        fingerprint: Of the decryptor's keys.
        bodies: SHA-256 of the bodies that these openers belong to.
        sender: X25519 key of this box, 32 bytes.
        box: The sealed openers.
    """

    fingerprint: bytes
    bodies: bytes
    sender: bytes
    box: bytes

    @classmethod
    def read(cls, session: EncryptedSession, place: int, data: bytes, *, fingerprint: bytes) -> SealedOpeners:
        """Read a client's OPENERS frame; what is in the box is not looked at.

        Raises:
            Malformed: If it is not a frame of this sum.
            WrongContext: If it was made for another sum, or under other keys.
            WrongSender: If another client made it.
            BadSignature: If the client did not sign it.
        """
        payload = session.read(Kind.OPENERS, data, sender=place, receiver=session.decrypting)
        found = cls(*decode(payload, numbers=0, strings=4)[1])
        if [len(found.fingerprint), len(found.bodies), len(found.sender)] != [DIGEST, DIGEST, keys.KEY]:
            raise Malformed("sealed openers come with two digests and a key of 32 bytes")
        if found.fingerprint != fingerprint:
            raise WrongContext("openers were sealed under other keys than this sum's")
        return found

    @classmethod
    def seal(
        cls, session: EncryptedSession, place: int, to: Announced, bodies: Buffer, openers: Buffer, *, rng: Source
    ) -> SealedOpeners:
        """Seal a client's packed openers; the key of the box is drawn from ``rng`` and forgotten."""
        private = rng.bytes(keys.KEY)
        sender = keys.public_key(private)
        key = _key(keys.agree(keys.load(private), to.box), sender, to.box)
        digest = hashlib.sha256(bodies).digest()
        bound = _bound(session, place, to.fingerprint, digest)
        return cls(to.fingerprint, digest, sender, keys.seal(key, bytes(openers), bound))

    def write(self, session: EncryptedSession, place: int, *, by: Identity) -> bytes:
        """Return the OPENERS frame."""
        payload = encode([], [self.fingerprint, self.bodies, self.sender, self.box])
        return session.write(Kind.OPENERS, [payload], by=by, sender=place, receiver=session.decrypting)

    def open(self, session: EncryptedSession, place: int, private: bytes) -> bytes:
        """Return the packed openers, for whoever has the private key of the announced box key.

        Raises:
            BadBox: If the box was changed, or made for another sum, client, key or bodies.
            Malformed: If the box's key is none.
        """
        key = _key(keys.agree(keys.load(private), self.sender), self.sender, keys.public_key(private))
        return keys.unseal(key, self.box, _bound(session, place, self.fingerprint, self.bodies))


def _key(shared: bytes, sender: bytes, receiver: bytes) -> bytes:
    return keys.derive(shared, keys.label("openers", sender + receiver))


def _bound(session: EncryptedSession, place: int, fingerprint: bytes, bodies: bytes) -> bytes:
    return keys.label("openers of", session.context, place) + fingerprint + bodies
