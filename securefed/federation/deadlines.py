"""How long a server waits for the answers of a phase: as long as they have taken before, with room."""

from __future__ import annotations

from typing import final

from securefed.errors import ConfigError
from securefed.federation.transport import Exchange, Reason

ROOM = 3.0
"""How many times as long as the slowest answer so far a phase may take."""


@final
class Deadlines:
    """Deadlines that follow what was measured.

    Every phase starts with the longest wait. Once all its answers came, it gets :data:`ROOM` times the longest time
    that they ever took; a phase that ran into its deadline gets :data:`ROOM` times that deadline the next time, so slow
    clients are waited for again.

    Args:
        longest: Seconds that a phase gets at first, and at most.
        shortest: Seconds that a phase gets at least.

    Raises:
        ConfigError: If they are not ``0 < shortest <= longest``.
    """

    def __init__(self, *, longest: float, shortest: float = 5.0) -> None:
        if not 0 < shortest <= longest:
            raise ConfigError(f"deadlines lie between {shortest} and {longest} seconds; name 0 < shortest <= longest")
        self._longest, self._shortest = longest, shortest
        self._taken: dict[str, float] = {}

    def of(self, phase: str) -> float:
        """Return the seconds that a phase gets."""
        taken = self._taken.get(phase, self._longest)
        return min(self._longest, max(self._shortest, ROOM * taken))

    def learn(self, phase: str, exchange: Exchange) -> None:
        """Take note of a phase that is over."""
        silent = any(dropout.reason is Reason.SILENT for dropout in exchange.dropped.values())
        longer = self.of(phase) if silent else exchange.seconds
        self._taken[phase] = max(self._taken.get(phase, 0.0), longer)
