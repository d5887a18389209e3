"""The decryptor at the end of a wire: a process of its own, which the server asks through a Unix socket.

::

    0   4   "SFDK"
    4   .   CBOR array: what is asked, round, attempt, place, name of the run, SHA-256 of plan and adapter, head of the
            record before, body

Both sides make the sum's session from their own plan and this context. What is asked is what
:class:`securefed.aggregation.decryptor.DecryptorRole` says. The wire gains nothing that a hostile server has not:
openers are signed by clients and sealed for the decryptor, a release is signed by the server, and the decryptor's gate
holds whoever asks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import final

from securefed.aggregation.decryptor import Decryptor, DecryptorRole
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.identity import Identity, Roster
from securefed.aggregation.parameters import Context
from securefed.aggregation.refusals import Malformed, WrongContext
from securefed.aggregation.wire import decode, encode
from securefed.errors import ConfigError, ProtocolError
from securefed.federation.courier import Refused, carry
from securefed.federation.greeting import introduce, is_challenge
from securefed.plan import Plan
from securefed.rounds import parameters_in

MAGIC = b"SFDK"

ENCRYPTED = ("ckks", "bfv")
"""Ways for updates to travel that need a decryptor."""


@final
class Asked(IntEnum):
    """What a server asks of a decryptor."""

    PUBLIC_KEY = 1
    TAKE = 2
    RELEASE = 3


@final
@dataclass(frozen=True, slots=True)
class RemoteDecryptor(DecryptorRole):
    """The server's end.

    Attributes:
        socket: Where the decryptor listens.
        public: Its Ed25519 public key, pinned.
    """

    socket: Path
    public: bytes

    def public_key(self, session: EncryptedSession) -> bytes:
        """Return the PUBLIC_KEY frame; see :class:`DecryptorRole`."""
        return self._ask(Asked.PUBLIC_KEY, session, 0, b"")

    def take(self, session: EncryptedSession, place: int, data: bytes) -> None:
        """Have an OPENERS frame added; see :class:`DecryptorRole`."""
        self._ask(Asked.TAKE, session, place, data)

    def release(self, session: EncryptedSession, request: bytes) -> bytes:
        """Return the RELEASED frame; see :class:`DecryptorRole`."""
        return self._ask(Asked.RELEASE, session, 0, request)

    def _ask(self, what: Asked, session: EncryptedSession, place: int, body: bytes) -> bytes:
        context = session.parameters.context
        strings = [context.task.encode(), context.plan, context.model, context.previous, body]
        try:
            return carry(self.socket, MAGIC + encode([what, context.round, context.attempt, place], strings))
        except Refused as error:
            raise ProtocolError(f"the decryptor refuses: {error}") from error


@final
class Gate:
    """The decryptor's end: it serves one task.

    A request that it has answered in the sum that goes on gets the same answer again, so a server that was killed asks
    again and learns nothing new.

    Args:
        plan: The only plan that it decrypts for.
        task: The only run.
        identity: Its signing key.
        roster: Who is who, pinned.
        decryptor: Who decrypts; of the same identity and roster.

    Raises:
        ConfigError: If the plan's sums are not encrypted.
    """

    def __init__(self, plan: Plan, task: str, identity: Identity, roster: Roster, decryptor: Decryptor) -> None:
        if plan.secure not in ENCRYPTED:
            raise ConfigError(f"secure is {plan.secure!r}; a decryptor serves plans with {' or '.join(ENCRYPTED)}")
        self._scheme = plan.encryption.scheme
        self._plan, self._task, self._identity, self._roster = plan, task, identity, roster
        self._decryptor = decryptor
        self._sum: tuple[int, int] = (0, 0)
        self._answers: dict[bytes, bytes] = {}

    def answer(self, request: bytes) -> bytes:
        """Return the answer to a request.

        Raises:
            ProtocolError: If the gate does not let it through; see :class:`DecryptorRole`.
        """
        if is_challenge(request):
            return introduce(request, self._identity, self._roster)
        if not request.startswith(MAGIC):
            raise Malformed("a decryptor is asked by the server of its run, and for nothing else")
        digest = hashlib.sha256(request).digest()
        if digest not in self._answers:
            self._answers[digest] = self._answered(request)
        return self._answers[digest]

    def _answered(self, request: bytes) -> bytes:
        numbers, strings = decode(request[len(MAGIC) :], numbers=4, strings=5)
        (what, number, attempt, place), (task, plan, model, previous, body) = numbers, strings
        if task != self._task.encode() or plan != bytes.fromhex(self._plan.digest):
            raise WrongContext("the sum belongs to another run or plan than the one that this decryptor serves")
        if not 1 <= number <= self._plan.rounds:
            raise WrongContext(f"round {number} is not one of the plan's {self._plan.rounds}")
        context = Context(task=self._task, round=number, model=model, plan=plan, attempt=attempt, previous=previous)
        if (number, attempt) > self._sum:
            self._sum, self._answers = (number, attempt), {}
        return self._asked(what, self._session(context), place, body)

    def _asked(self, what: int, session: EncryptedSession, place: int, body: bytes) -> bytes:
        match what:
            case Asked.PUBLIC_KEY:
                return self._decryptor.public_key(session)
            case Asked.TAKE:
                self._decryptor.take(session, place, body)
                return b""
            case Asked.RELEASE:
                return self._decryptor.release(session, body)
        raise Malformed(f"a decryptor cannot be asked for {what}")

    def _session(self, context: Context) -> EncryptedSession:
        parameters = parameters_in(self._plan, context)
        return EncryptedSession.unweighted(parameters, self._roster, self._decryptor.public, scheme=self._scheme)
