"""The cryptographic primitives, each bound to a label, the context and the parties it is for.

Nothing here is home-made: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256-GCM (NIST SP 800-38D), SHA-256 (FIPS
180-4), BLAKE3 (O'Connor, Aumasson, Neves and Wilcox-O'Hearn 2020): from ``cryptography``, ``hashlib`` and ``blake3``.

Payloads are hashed by BLAKE3, because a masked vector is long and SHA-256 would be a fifth of what a client works on
it. Everything else that is hashed is short, and its hash is SHA-256.
"""

from __future__ import annotations

import hashlib
import struct
from functools import lru_cache

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from securefed.aggregation.refusals import BadBox, Malformed

KEY = 32
"""Bytes of every key, public or secret."""

TAG = 16
"""Bytes that a sealed box is longer than its content."""

_PREFIX = b"securefed/1/"

_PLACES = tuple(struct.Struct(layout).pack for layout in (">", ">I", ">II", ">III"))
"""What writes up to three numbers: the places of parties, and a slot of a deal."""

_SHA256 = SHA256()

_PROBE = X25519PrivateKey.from_private_bytes(bytes(32))


def label(name: str, context: bytes, *places: int) -> bytes:
    """Return an unambiguous name for one use of a key: text, a zero byte, the context, the parties' places, a slot."""
    return _label_of_all(name, context) + _PLACES[len(places)](*places)


@lru_cache(maxsize=256)
def _label_of_all(name: str, context: bytes) -> bytes:
    """Return what the labels of all parties begin with: a client makes a dozen labels for each neighbour."""
    return _PREFIX + name.encode() + b"\0" + context


def load(private: bytes) -> X25519PrivateKey:
    """Return the X25519 key of 32 private bytes."""
    return X25519PrivateKey.from_private_bytes(private)


def public_key(private: bytes) -> bytes:
    """Return the X25519 public key of 32 private bytes."""
    return load(private).public_key().public_bytes_raw()


def agree(private: X25519PrivateKey, public: bytes) -> bytes:
    """Return the X25519 shared secret.

    Raises:
        Malformed: If the public key is one of the few that give everybody the same secret.
    """
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise Malformed("a public key is not a usable X25519 key") from error


def is_usable(public: bytes) -> bool:
    """Tell whether a public key is one that :func:`agree` accepts, which does not depend on the private key."""
    try:
        agree(_PROBE, public)
    except Malformed:
        return False
    return True


def derive(secret: bytes, info: bytes) -> bytes:
    """Return a 32-byte key from a shared secret, by HKDF-SHA256 with empty salt."""
    return HKDF(algorithm=_SHA256, length=KEY, salt=None, info=info).derive(secret)


def seal(key: bytes, content: bytes, associated: bytes) -> bytes:
    """Return ``content`` sealed by AES-256-GCM.

    The nonce is zero: a key is derived for one box of one sender, receiver and context, so it never seals twice.
    """
    return AESGCM(key).encrypt(bytes(12), content, associated)


def unseal(key: bytes, box: bytes, associated: bytes) -> bytes:
    """Return the content of a box.

    Raises:
        BadBox: If the box, its sender, receiver, context or associated data were changed.
    """
    try:
        return AESGCM(key).decrypt(bytes(12), box, associated)
    except InvalidTag as error:
        raise BadBox("a sealed box does not open: it was changed or is meant for somebody else") from error


def payload_hash(payload: bytes = b"") -> blake3:
    """Return the BLAKE3 hash of what a message says, 32 bytes: what its signature covers; it can be updated."""
    return blake3(payload)


def digest(info: bytes, *parts: bytes) -> bytes:
    """Return SHA-256 over a label and parts of known length."""
    return hashlib.sha256(info + b"".join(parts)).digest()
