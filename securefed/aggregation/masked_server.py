"""The server of a masked sum: it carries messages, adds masked vectors, and takes off what the survivors reveal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

from securefed.aggregation.base import ServerRole
from securefed.aggregation.desk import Desk
from securefed.aggregation.identity import Identity
from securefed.aggregation.server_states import Aborted, Advertising, ServerState
from securefed.aggregation.session import Session
from securefed.aggregation.transcript import Transcript, nowhere
from securefed.encoding import RingVector


@final
class MaskedServer(ServerRole):
    """The server's part in one masked sum.

    Args:
        session: The sum.
        identity: The server's signing key.
        write: Called with every line of the transcript as it is made.

    Attributes:
        transcript: The public record of this sum.
    """

    def __init__(self, session: Session, identity: Identity, *, write: Callable[[str], object] = nowhere) -> None:
        self.transcript = Transcript(session, identity, write)
        self._desk = Desk(session, identity, self.transcript)
        self._state: ServerState = Advertising(self._desk)
        self._survivors: tuple[str, ...] = ()

    @property
    def phase(self) -> str:
        """Name of the phase; see :class:`ServerRole`."""
        return self._state.phase

    @property
    def survivors(self) -> tuple[str, ...]:
        """Names of the clients in the sum; see :class:`ServerRole`."""
        return tuple(self._desk.session.name(place) for place in self._state.survivors)

    @property
    def refusals(self) -> Mapping[str, str]:
        """Why answers were put aside; see :class:`ServerRole`."""
        return self._desk.refusals

    def requests(self) -> dict[str, bytes]:
        """Return what to send to whom; see :class:`ServerRole`."""
        return self._state.requests()

    def collect(self, answers: Mapping[str, bytes]) -> None:
        """Take the answers of this phase; see :class:`ServerRole`."""
        state, self._state = self._state, Aborted()
        self._state = state.collect(answers)

    def total(self) -> RingVector:
        """Return the sum; see :class:`ServerRole`."""
        return self._state.total()
