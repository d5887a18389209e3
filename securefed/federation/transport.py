"""What carries a phase's requests to clients and their answers back, and says why an answer is missing.

A transport is not trusted: it may lose, repeat, mix up or change what it carries. Every frame is signed and bound to
its sum, sender and receiver, so the worst that it can do is what a dropout does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

LEDGERS = "ledgers"
"""What the exchange after the last round is called."""

DETAIL = 300
"""Characters of a detail that are written down: it comes from the other side."""


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
        replies: Answers, by client.
        dropped: The others, each with its reason.
        seconds: From the first request to the last answer, or to the deadline if one was awaited in vain.
        sent: Bytes of all requests.
        received: Bytes of all answers.
    """

    requests: Mapping[str, bytes] = field(repr=False)
    replies: Mapping[str, bytes] = field(repr=False)
    dropped: Mapping[str, Dropout]
    seconds: float
    sent: int
    received: int

    @classmethod
    def of(
        cls,
        requests: Mapping[str, bytes],
        replies: Mapping[str, bytes],
        dropped: Mapping[str, Dropout],
        *,
        seconds: float,
    ) -> Exchange:
        """Return an exchange in which everybody who neither answered nor was heard of was silent."""
        silent = {name: Dropout(Reason.SILENT) for name in requests if name not in replies}
        return cls(
            requests=dict(sorted(requests.items())),
            replies=dict(sorted(replies.items())),
            dropped=dict(sorted((silent | {name: why for name, why in dropped.items() if name in silent}).items())),
            seconds=seconds,
            sent=sum(map(len, requests.values())),
            received=sum(map(len, replies.values())),
        )


class Transport(ABC):
    """A way to reach clients by their names in the roster."""

    @abstractmethod
    def exchange(self, phase: str, requests: Mapping[str, bytes], *, deadline: float) -> Exchange:
        """Carry one phase's requests and return what came back.

        Args:
            phase: Its name, for logs and metrics.
            requests: What to send to whom.
            deadline: Seconds after which an answer counts as missing.

        Returns:
            Every client of ``requests`` either in ``replies`` or in ``dropped``.
        """
