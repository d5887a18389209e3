"""Who is who: Ed25519 identities and the roster that pins them.

The roster is made once by whoever admits clients and reaches every party outside the federation's own channel; its root
is compared, never fetched from the server. So a server can neither invent clients nor swap their keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import final

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from securefed.aggregation.parameters import NAME_LIMIT
from securefed.aggregation.refusals import BadSignature
from securefed.errors import ConfigError
from securefed.rng import Source

SIGNATURE = 64
"""Bytes of an Ed25519 signature."""

SERVER = "server"
"""The name that the server has in error messages and files; no client may have it."""


@final
class Identity:
    """A party's long-lived signing key. Its representation shows the name only.

    Attributes:
        name: The party's name in the roster.
        public: The Ed25519 public key, 32 bytes.
    """

    __slots__ = ("_key", "name", "public")

    def __init__(self, name: str, private: bytes) -> None:
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"Identity({self.name!r})"

    def __reduce__(self) -> str:
        raise TypeError("an identity is not pickled: it holds a private key")

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of a message, 64 bytes (RFC 8032)."""
        return self._key.sign(message)


@final
@dataclass(frozen=True)
class Roster:
    """The public keys of the server and of every client that may ever take part.

    Attributes:
        server: The server's Ed25519 public key, 32 bytes.
        clients: The clients' Ed25519 public keys by name; kept in sorted order.

    Raises:
        ConfigError: If a key has another length, two parties share a key, or a name cannot be used.
    """

    server: bytes
    clients: Mapping[str, bytes]

    def __post_init__(self) -> None:
        """Refuse a roster in which somebody could stand for somebody else."""
        object.__setattr__(self, "clients", dict(sorted(self.clients.items())))
        keys = [self.server, *self.clients.values()]
        if any(len(key) != 32 for key in keys) or len(set(keys)) < len(keys):
            raise ConfigError(f"the {len(keys)} keys of a roster are distinct and have 32 bytes each")
        for name in self.clients:
            if name == SERVER or not 1 <= len(name.encode()) <= NAME_LIMIT:
                raise ConfigError(f"{name!r} cannot be a client's name: 1 to {NAME_LIMIT} bytes, not {SERVER!r}")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The clients' names, sorted."""
        return tuple(self.clients)

    @cached_property
    def root(self) -> bytes:
        """SHA-256 of the roster's deterministic encoding, 32 bytes: what is pinned."""
        content = [self.server, *([name, key] for name, key in self.clients.items())]
        return hashlib.sha256(b"securefed/1/roster\0" + cbor2.dumps(content, canonical=True)).digest()


def verify(public: bytes, message: bytes, signature: bytes, *, name: str) -> None:
    """Check an Ed25519 signature.

    Raises:
        BadSignature: If ``public`` did not sign ``message``; names the party.
    """
    if not is_signed(public, message, signature):
        raise BadSignature(f"the signature is not that of {name!r}; the message was changed or forged")


@lru_cache(maxsize=1 << 15)
def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether ``public`` signed ``message``.

    Remembered, because in one process many clients check the same public signatures.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@final
@dataclass(frozen=True, slots=True)
class Federation:
    """A roster together with every private key: only for runs in one process.

    Attributes:
        roster: The public keys.
        server: The server's identity.
        clients: The clients' identities by name.
    """

    roster: Roster
    server: Identity
    clients: Mapping[str, Identity]

    @classmethod
    def throwaway(cls, names: Iterable[str], *, rng: Source) -> Federation:
        """Return a federation whose keys live as long as this object."""
        server = Identity(SERVER, rng.bytes(32))
        clients = {name: Identity(name, rng.bytes(32)) for name in sorted(names)}
        return cls(Roster(server.public, {name: client.public for name, client in clients.items()}), server, clients)
