"""How long the stages of a run take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeAlias, final

Stage: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Called with the name of a stage around the work that belongs to it, such as :meth:`Stopwatch.stage`."""


def untimed(name: str) -> AbstractContextManager[None]:
    """Time nothing."""
    return nullcontext()


@final
@dataclass(slots=True)
class Stopwatch:
    """Seconds spent in each stage of a run.

    Attributes:
        seconds: By stage, in the order of their first end; a stage inside another counts for itself only.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    _inner: float = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start, outer, self._inner = time.perf_counter(), self._inner, 0.0
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent - self._inner
            self._inner = outer + spent
