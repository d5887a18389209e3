"""One row of the protocol audit: a move, what it must lead to, and what it led to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """What a move led to.

    Attributes:
        happened: In words.
        holds: Whether that is what was expected.
    """

    happened: str
    holds: bool


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A move of an adversary against the installed protocol.

    Attributes:
        id: Stable name of the row.
        adversary: Who moves: server, client, network, outsider.
        move: What the adversary does.
        expected: What must happen.
        play: Makes the move and looks.
    """

    id: str
    adversary: str
    move: str
    expected: str
    play: Callable[[], Finding]


@final
@dataclass(frozen=True, slots=True)
class Result:
    """A row that was played.

    Attributes:
        row: The row.
        happened: What the move led to.
        holds: Whether that is what was expected.
        seconds: How long it took.
    """

    row: Row
    happened: str
    holds: bool
    seconds: float
