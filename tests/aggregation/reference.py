"""The cryptography of docs/wire-format.md, written from that page without the package."""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

PRIME = 2**255 - 19


def label(name: str, context: bytes, *places: int) -> bytes:
    return b"securefed/1/" + name.encode() + b"\0" + context + b"".join(struct.pack(">I", place) for place in places)


def hkdf(secret: bytes, info: bytes) -> bytes:
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\1", hashlib.sha256).digest()


def mask(key: bytes, length: int, width: int = 4) -> list[int]:
    blocks = b"".join((2 + at).to_bytes(16, "big") for at in range(-(-length * width // 16)))
    stream = Cipher(AES(key), ECB()).encryptor().update(blocks)  # noqa: S305 - counter mode, block by block
    return [int.from_bytes(stream[at : at + width], "little") for at in range(0, length * width, width)]


def public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agreed(private: bytes, other: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(other))


def interpolated(shares: dict[int, int]) -> int:
    total = 0
    for x, share in shares.items():
        for other in shares:
            if other != x:
                share = share * other * pow(other - x, -1, PRIME) % PRIME  # noqa: PLW2901 - Lagrange's product
        total += share
    return total % PRIME
