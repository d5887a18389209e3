"""Clients in this process: no sockets, no threads, the same bytes as on every other transport."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, final

from securefed.errors import SecureFedError
from securefed.federation.transport import Dropout, Exchange, Keep, Reason, Tally, Transport


class Party(Protocol):
    """Whoever answers requests: an agent, or the role of a client in one sum."""

    def answer(self, request: bytes) -> bytes:
        """Return the answer to a request."""


Fault: TypeAlias = Callable[[str, str], Dropout | None]
"""Called with phase and client; returns why the answer gets lost, or None if it does not."""


def faultless(phase: str, client: str) -> Dropout | None:
    """Lose nothing."""
    return None


@final
@dataclass(frozen=True, slots=True)
class EmbeddedTransport(Transport):
    """Asks clients in the order of their names; a client that refuses has dropped out.

    Attributes:
        parties: The clients, by name.
        before: A fault before the request arrives: the client never sees it.
        after: A fault on the way back: the client has answered, in vain.
    """

    parties: Mapping[str, Party]
    before: Fault = field(default=faultless)
    after: Fault = field(default=faultless)

    def exchange(self, phase: str, requests: Mapping[str, bytes], keep: Keep, *, deadline: float) -> Exchange:
        """Ask one client after the other; see :class:`Transport`. The deadline is nobody's: nobody is waited for."""
        tally = Tally(keep)
        for name in sorted(requests):
            tally.came(name, self._outcome(phase, name, tally.sent(name, requests[name])))
        return tally.exchange(requests)

    def _outcome(self, phase: str, name: str, request: bytes) -> bytes | Dropout:
        outcome = self.before(phase, name) or self._answer(name, request)
        return outcome if isinstance(outcome, Dropout) else self.after(phase, name) or outcome

    def _answer(self, name: str, request: bytes) -> bytes | Dropout:
        try:
            return self.parties[name].answer(request)
        except SecureFedError as error:
            return Dropout(Reason.REFUSED, f"{type(error).__name__}: {error}")
