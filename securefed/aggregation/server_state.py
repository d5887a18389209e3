"""What every state of a masked sum's server answers to, and the state of one that was given up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import final

from securefed.encoding import RingVector
from securefed.errors import OutOfTurn


class ServerState(ABC):
    """What the server knows between two phases."""

    phase: str

    @property
    def survivors(self) -> Iterable[int]:
        """Places of the clients in the sum, once that is decided."""
        return ()

    @abstractmethod
    def requests(self) -> Mapping[str, bytes]:
        """Return what to send to whom."""

    @abstractmethod
    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Return the state after the answers of this phase."""

    def total(self) -> RingVector:
        """Refuse: only the last state has a sum."""
        raise OutOfTurn(f"there is no total in phase {self.phase!r}")


@final
class Aborted(ServerState):
    """The sum was given up."""

    phase = "aborted"

    def requests(self) -> Mapping[str, bytes]:
        """Ask for nothing."""
        return {}

    def collect(self, answers: Mapping[str, bytes]) -> ServerState:
        """Refuse."""
        raise OutOfTurn("the sum was aborted; a new one needs a new attempt number")
