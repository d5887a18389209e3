"""What Ctrl-C and ``kill`` do: stop a run between its rounds without a loss, or take everything down at once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from securefed.cli.screen import console

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def between_rounds() -> Iterator[Callable[[], None]]:
    """Put off the first Ctrl-C, or ``kill``, until the yielded function is called; a second one stops at once.

    Stopping at once is safe too, but if contributions have left, that round is lost and stays charged.

    Yields:
        What to call when a round is over and on disk.

    Raises:
        KeyboardInterrupt: From the yielded function after a first signal, from anywhere after a second.
    """
    asked: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        console.print("stopping when this round is over; once more stops at once and may lose the round")

    def over() -> None:
        if asked:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, remember) for number in SIGNALS}
    try:
        yield over
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def by_leaving() -> Iterator[None]:
    """Let ``kill`` end the process as ``exit`` does, so that what was started is taken down on the way out."""
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
