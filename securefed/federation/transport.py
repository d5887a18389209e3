"""What carries a phase's requests to clients and their answers back, and says why an answer is missing.

A transport is not trusted: it may lose, repeat, mix up or change what it carries. Every frame is signed and bound to
its sum, sender and receiver, so the worst that it can do is what a dropout does. It keeps nothing: requests are looked
up when they are sent, and answers handed on when they arrive, so that memory does not grow with the number of clients.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, final

from securefed.lines import Seen

LEDGERS = "ledgers"
"""What the exchange after the last round is called."""

DETAIL = 300
"""Characters of a detail that are written down: it comes from the other side."""


Keep: TypeAlias = Callable[[str, bytes], object]
"""Called with a client and its answer when it has arrived, once for each client at most."""


@final
class Reason(StrEnum):
    """Why an answer is missing."""

    SILENT = "nothing arrived before the deadline"
    REFUSED = "the client refused"
    FAILED = "the client's side failed"
    GONE = "the client's machine is not there"


@final
@dataclass(frozen=True, slots=True)
class Dropout:
    """An answer that did not arrive.

    Attributes:
        reason: Why.
        detail: What the client or the transport says about it; not trusted.
    """

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        """Return both in a line that a log can take."""
        return f"{self.reason}: {self.detail[:DETAIL]}" if self.detail else str(self.reason)


@final
@dataclass(frozen=True, slots=True)
class Exchange:
    """What came of one phase.

    Attributes:
        requests: What was sent, by client.
        replies: Answers that were handed on, by client.
        dropped: Everybody else who was to be asked, each with the reason.
        seconds: From the first request to the last answer, or to the deadline if one was awaited in vain.
    """

    requests: Mapping[str, Seen] = field(repr=False)
    replies: Mapping[str, Seen] = field(repr=False)
    dropped: Mapping[str, Dropout]
    seconds: float

    @property
    def sent(self) -> int:
        """Bytes of all requests."""
        return sum(seen.size for seen in self.requests.values())

    @property
    def received(self) -> int:
        """Bytes of all answers."""
        return sum(seen.size for seen in self.replies.values())


@final
class Tally:
    """Counts what a transport carries in one phase, and hands answers on.

    Args:
        keep: Where answers go.
    """

    def __init__(self, keep: Keep) -> None:
        self._keep, self._start = keep, time.monotonic()
        self._requests: dict[str, Seen] = {}
        self._replies: dict[str, Seen] = {}
        self._dropped: dict[str, Dropout] = {}

    def sent(self, name: str, request: bytes) -> bytes:
        """Note a request, and return it."""
        self._requests[name] = Seen.of(request)
        return request

    def came(self, name: str, outcome: bytes | Dropout) -> None:
        """Note what came of a client; whatever comes after its answer is not listened to."""
        if name in self._replies:
            return
        if isinstance(outcome, Dropout):
            self._dropped[name] = outcome
            return
        self._keep(name, outcome)
        self._replies[name] = Seen.of(outcome)

    def exchange(self, asked: Iterable[str]) -> Exchange:
        """Return an exchange in which everybody who neither answered nor was heard of was silent."""
        silent = Dropout(Reason.SILENT)
        return Exchange(
            requests=dict(sorted(self._requests.items())),
            replies=dict(sorted(self._replies.items())),
            dropped={name: self._dropped.get(name, silent) for name in sorted(asked) if name not in self._replies},
            seconds=time.monotonic() - self._start,
        )


class Transport(ABC):
    """A way to reach clients by their names in the roster."""

    @abstractmethod
    def exchange(self, phase: str, requests: Mapping[str, bytes], keep: Keep, *, deadline: float) -> Exchange:
        """Carry one phase's requests and hand on what comes back.

        Args:
            phase: Its name, for logs and metrics.
            requests: What to send to whom; each may be made when it is looked up, and is looked up once.
            keep: Where answers go as they arrive.
            deadline: Seconds after which an answer counts as missing.

        Returns:
            Every client of ``requests`` either in ``replies`` or in ``dropped``.
        """
