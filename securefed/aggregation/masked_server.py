"""The server of a masked sum: it carries messages, adds masked vectors, and takes off what the survivors reveal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import final

from securefed.aggregation.base import ServerRole
from securefed.aggregation.desk import Dealt, Desk
from securefed.aggregation.identity import Identity
from securefed.aggregation.revealing import Done
from securefed.aggregation.server_state import Aborted, ServerState
from securefed.aggregation.server_states import Advertising, Agreeing, Masking
from securefed.aggregation.session import Session
from securefed.aggregation.transcript import Transcript, nowhere
from securefed.encoding import RingVector
from securefed.errors import ConfigError


@final
class MaskedServer(ServerRole):
    """The server's part in one masked sum.

    Args:
        session: The sum.
        identity: The server's signing key.
        write: Called with every line of the transcript as it is made.
        dealt: What was dealt in an earlier round; None in a round that begins with a deal.

    Attributes:
        transcript: The public record of this sum.
        dealt: What is dealt by now, for the rounds that follow.

    Raises:
        ConfigError: If keys were dealt for other rounds, or were to be dealt before this one and were not.
    """

    def __init__(
        self,
        session: Session,
        identity: Identity,
        *,
        write: Callable[[str], object] = nowhere,
        dealt: Dealt | None = None,
    ) -> None:
        self.transcript = Transcript(session, identity, write)
        self._desk = Desk(session, identity, self.transcript)
        self.dealt = None if session.is_dealing else followed(self._desk, dealt)
        self._state: ServerState = Masking(self.dealt) if self.dealt else Advertising(self._desk)

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

    def requests(self) -> Mapping[str, bytes]:
        """Return what to send to whom; see :class:`ServerRole`."""
        return self._state.requests()

    def collect(self, answers: Mapping[str, bytes]) -> None:
        """Take the answers of this phase; see :class:`ServerRole`."""
        state, self._state = self._state, Aborted()
        self._state = state.collect(answers)
        if isinstance(self._state, Masking | Agreeing):
            self.dealt = self._state.dealt

    @property
    def goes_on(self) -> bool:
        """Whether the round after this one goes on with the same deal, once this sum is done.

        It does if the deal serves it and, of the clients that were here to the end, not every one is needed: who is
        gone may have lost what it was dealt, and only a new deal brings it back.
        """
        if not isinstance(self._state, Done):
            return False
        public, stayed = self._desk.session.parameters, self._state.stayed
        can_spare = stayed > public.threshold or stayed == len(public.cohort)
        return can_spare and public.context.slot + 1 < public.context.deal.rounds

    def total(self) -> RingVector:
        """Return the sum; see :class:`ServerRole`."""
        return self._state.total()


def followed(desk: Desk, dealt: Dealt | None) -> Dealt:
    """Return what was dealt in an earlier round as what it is in this one, and record it."""
    if dealt is None or dealt.desk.session.deal != desk.session.deal:
        raise ConfigError(f"no keys were dealt for round {desk.session.parameters.context.round}; deal them anew")
    desk.transcript.dealt(dealt.graph, dealt.sharing)
    return replace(dealt, desk=desk)
