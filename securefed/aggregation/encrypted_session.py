"""What every party of one encrypted sum knows, and how its frames are signed and opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self, final

from securefed.aggregation.encryption import Encryption, Scheme, choose
from securefed.aggregation.identity import SERVER, SIGNATURE, Identity, Roster, verify
from securefed.aggregation.keys import KEY, TAG, label, payload_hash
from securefed.aggregation.members import Members
from securefed.aggregation.messages import ENVELOPE, HEADS
from securefed.aggregation.packing import packed_size
from securefed.aggregation.parameters import DIGEST, Parameters
from securefed.aggregation.refusals import WrongContext, WrongSender
from securefed.aggregation.seal import Ring, ring
from securefed.aggregation.wire import Buffer, Kind, array_head, decode, encode, frame, string_head, unframe
from securefed.errors import ConfigError

DECRYPTOR = "decryptor"
"""The name that the decryptor has in error messages."""

VOUCHER = DIGEST + SIGNATURE
"""Bytes of what a client adds under an inner mask: digest and signature of its masked vector."""


@final
@dataclass(frozen=True)
class EncryptedSession:
    """One encrypted sum as every party sees it.

    Attributes:
        parameters: The public parameters.
        roster: Who is who.
        decryptor: The decryptor's Ed25519 public key, 32 bytes; no client's and not the server's.
        encryption: How vectors are encrypted.
        weights: What each client's vector counts, by place in the cohort.
        dim: Coordinates that are encrypted: those of the vector, and of an inner mask's checks.
        inner: Context of the masked sum within; empty if there is none.

    Raises:
        ConfigError: If a client or the decryptor is not who they must be, or weights and encryption do not fit.
    """

    parameters: Parameters
    roster: Roster
    decryptor: bytes
    encryption: Encryption
    weights: tuple[int, ...]
    dim: int
    inner: bytes = field(default=b"")

    def __post_init__(self) -> None:
        """Refuse a sum that could not be exact, or whose decryptor is not a party of its own."""
        if unknown := set(self.parameters.cohort) - set(self.roster.names):
            raise ConfigError(f"{sorted(unknown)} are in the cohort but not in the roster")
        if len(self.decryptor) != 32 or self.decryptor in {self.roster.server, *self.roster.clients.values()}:
            raise ConfigError("the decryptor has a key of 32 bytes of its own: it is neither the server nor a client")
        if len(self.weights) != self.size or min(self.weights) < 1 or sum(self.weights) != self.encryption.lanes.weight:
            raise ConfigError(f"weights are positive, one for each of {self.size} clients, and total what was planned")
        if self.encryption.lanes.bits != self.parameters.bits:
            raise ConfigError(f"the encryption is made for a ring of {self.encryption.lanes.bits} bits")

    @classmethod
    def unweighted(cls, parameters: Parameters, roster: Roster, decryptor: bytes, *, scheme: Scheme) -> Self:
        """Return the sum in which every vector counts once and reaches no further than the sum may.

        Raises:
            CapacityError: If no encryption of 128 bits of security adds these vectors exactly.
        """
        size, public = len(parameters.cohort), parameters
        encryption = choose(scheme, bits=public.bits, summand=public.limit, weight=size, dim=public.dim)
        return cls(public, roster, decryptor, encryption, (1,) * size, public.dim)

    @property
    def size(self) -> int:
        """How many clients are in the cohort."""
        return len(self.parameters.cohort)

    @property
    def server(self) -> int:
        """The server's place: one past the last client."""
        return self.size

    @property
    def decrypting(self) -> int:
        """The decryptor's place: one past the server."""
        return self.size + 1

    @property
    def half(self) -> int:
        """Bytes of the bodies of a vector, and of its openers."""
        return self.encryption.size(self.dim) // 2

    @cached_property
    def ring(self) -> Ring:
        """Where the ciphertexts live."""
        return ring(self.encryption)

    @cached_property
    def context(self) -> bytes:
        """SHA-256 of everything above: enters every signature."""
        public, one, lanes = self.parameters, self.encryption, self.encryption.lanes
        seats = {name: seat for seat, name in enumerate(self.roster.names)}
        cohort = Members.of((seats[name] for name in public.cohort), len(seats)).to_bytes()
        numbers = [public.context.round, public.context.attempt, public.bits, public.dim, public.limit or 0]
        numbers += [public.threshold, int(one.scheme == "bfv"), one.degree, one.data_bits, one.data_primes]
        numbers += [one.special_bits, one.plain_bits, lanes.summand, lanes.digits, lanes.lanes, self.dim, *self.weights]
        digests = [public.context.plan, public.context.model, public.context.previous, self.roster.root]
        content = encode(numbers, [public.context.task.encode(), *digests, cohort, self.decryptor, self.inner])
        return hashlib.sha256(label("encrypted sum", content)).digest()

    def name(self, place: int) -> str:
        """Return the name of a party."""
        return {self.server: SERVER, self.decrypting: DECRYPTOR}.get(place) or self.parameters.cohort[place]

    def frame_size(self, kind: Kind) -> int:
        """Return the one size that frames of a kind have."""
        members = (self.size + 7) // 8
        payload = {
            Kind.PUBLIC_KEY: 2 * self.ring.keys.size + KEY,
            Kind.ENCRYPTED: DIGEST + (VOUCHER if self.inner else 0) + self.half,
            Kind.OPENERS: 2 * DIGEST + KEY + self.half + TAG,
            Kind.RELEASE: members + self.half,
            Kind.RELEASED: members + packed_size(self.dim, self.parameters.bits),
            Kind.WHOLE: DIGEST + 2 * self.half,
            Kind.SUM: members + 2 * self.half,
            Kind.OPENED: DIGEST,
        }
        return ENVELOPE + HEADS + payload[kind]

    def statement(self, kind: Kind, sender: int, receiver: int, checksum: bytes) -> bytes:
        """Return what is signed for a message: kind, context, sender, receiver and the payload's hash."""
        return label(f"message {kind.name}", self.context, sender, receiver) + checksum

    def write(self, kind: Kind, payload: Iterable[Buffer], *, by: Identity, sender: int, receiver: int) -> bytes:
        """Return a signed frame; the payload comes in parts that follow each other."""
        checksum, parts, length = payload_hash(), [], 0
        for part in payload:
            checksum.update(part)
            parts.append(part)
            length += len(part)
        signature = by.sign(self.statement(kind, sender, receiver, checksum.digest()))
        head = array_head(5) + encode([sender, receiver], [self.context])[1:] + string_head(length)
        body = [head, *parts, string_head(len(signature)), signature]
        return frame(kind, body, size=self.frame_size(kind))

    def read(self, kind: Kind, data: bytes, *, sender: int, receiver: int) -> bytes:
        """Return the payload of a frame, after everything about it is checked; nothing of it was parsed before.

        Raises:
            Malformed: If it is not a frame of this kind and size.
            WrongContext: If it belongs to another sum.
            WrongSender: If it is not from ``sender`` to ``receiver``.
            BadSignature: If the sender did not sign it.
        """
        body = unframe(kind, data, size=self.frame_size(kind))
        (claimed, meant), (context, payload, signature) = decode(body, numbers=2, strings=3)
        if context != self.context:
            raise WrongContext(f"this {kind.name} was made for another task, round, attempt, plan, model or cohort")
        if (claimed, meant) != (sender, receiver):
            raise WrongSender(f"this {kind.name} is not from {self.name(sender)!r} to {self.name(receiver)!r}")
        statement = self.statement(kind, sender, receiver, payload_hash(payload).digest())
        verify(self._public(sender), statement, signature, name=self.name(sender))
        return payload

    def _public(self, place: int) -> bytes:
        if place == self.decrypting:
            return self.decryptor
        return self.roster.server if place == self.server else self.roster.clients[self.name(place)]
