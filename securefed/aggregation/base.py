"""The roles of a secure sum, without input or output, and the loop that runs them in one process.

A party is an object that takes bytes and gives bytes; who carries the bytes (this process, a socket, Flower) is not
its business. A *phase* is one exchange: the server asks clients, those that are still there answer, and a client
whose answer does not arrive has dropped out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from securefed.aggregation.parameters import Parameters
from securefed.encoding import RingVector
from securefed.rng import Source
from securefed.stopwatch import Stage, untimed


class ClientRole(ABC):
    """One client's part in one secure sum: it answers each phase once."""

    @abstractmethod
    def answer(self, request: bytes) -> bytes:
        """Return the answer to the server's request of this phase.

        Raises:
            ProtocolError: If no honest server would have sent this request; the role refuses everything afterwards.
            OutOfTurn: If the role has finished or refused before.
        """


class ServerRole(ABC):
    """The server's part in one secure sum."""

    @property
    @abstractmethod
    def phase(self) -> str:
        """Name of the phase whose answers are being waited for; ``"done"`` at the end."""

    @property
    @abstractmethod
    def survivors(self) -> tuple[str, ...]:
        """Names of the clients whose vectors are in the sum, sorted; empty until that is decided."""

    @property
    @abstractmethod
    def refusals(self) -> Mapping[str, str]:
        """Why an answer was put aside, by client; that client counts as dropped out."""

    @abstractmethod
    def requests(self) -> Mapping[str, bytes]:
        """Return what to send to whom in this phase; empty when the sum is done.

        Requests may be made when they are looked up: whoever carries them need not hold more than one of them.
        """

    @abstractmethod
    def collect(self, answers: Mapping[str, bytes]) -> None:
        """Take the answers of this phase; a client that is missing has dropped out.

        Raises:
            ThresholdError: If too few clients are left; the sum is aborted.
            ProtocolError: If the sum cannot be exact.
            OutOfTurn: If nothing is being waited for.
        """

    @abstractmethod
    def total(self) -> RingVector:
        """Return the sum of the survivors' vectors, shape ``(dim,)``, in the ring.

        Raises:
            OutOfTurn: If the last phase has not been collected.
        """


class SecureSum(ABC):
    """A way to add vectors, made for one cohort and one context: the roles come from here.

    Attributes:
        parameters: What everybody knows about this sum.
    """

    parameters: Parameters

    @abstractmethod
    def client(self, name: str, vector: RingVector, *, rng: Source) -> ClientRole:
        """Return the role of one client.

        Args:
            name: A name in the cohort.
            vector: Its vector, shape ``(dim,)``, coordinates below ``2**bits``.
            rng: Where its secrets come from: :func:`securefed.rng.secure` in use.

        Raises:
            ConfigError: If the name or the vector does not fit the parameters.
        """

    @abstractmethod
    def server(self) -> ServerRole:
        """Return the role of the server."""


def never(phase: str, client: str) -> bool:
    """Lose nobody."""
    return False


def unrecorded(phase: str, client: str, direction: str, message: bytes) -> None:
    """Record nothing."""


def secure_sum(
    server: ServerRole,
    clients: Mapping[str, ClientRole],
    *,
    lost: Callable[[str, str], bool] = never,
    record: Callable[[str, str, str, bytes], None] = unrecorded,
    stage: Stage = untimed,
) -> RingVector:
    """Run every phase of one secure sum in this process.

    Args:
        server: The server's role.
        clients: The clients' roles, by name.
        lost: Called with phase and client; True if the answer is lost on the way, which the server sees as a dropout.
        record: Called with phase, client, ``"request"`` or ``"answer"``, and the bytes, for every message on the
        wire.
        stage: Times what the clients do (``protect``) and what the server does (``sum``).

    Returns:
        The sum of the survivors' vectors, shape ``(dim,)``, in the ring.
    """
    with stage("sum"):
        while requests := server.requests():
            answers: dict[str, bytes] = {}
            for name, request in requests.items():
                record(server.phase, name, "request", request)
                if not lost(server.phase, name):
                    with stage("protect"):
                        answers[name] = clients[name].answer(request)
                    record(server.phase, name, "answer", answers[name])
            server.collect(answers)
        return server.total()
