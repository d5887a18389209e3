"""Ctrl-C between rounds: a run stops when the round that goes on is over, and can be resumed without a loss."""

from __future__ import annotations

import signal
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
