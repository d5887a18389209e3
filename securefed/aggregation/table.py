"""What the parties of one process keep between rounds: the clients' hands, and what the server knows of their deal."""

from __future__ import annotations

from typing import final

from securefed.aggregation.desk import Dealt
from securefed.aggregation.hand import Hand
from securefed.aggregation.masked_server import MaskedServer
from securefed.aggregation.parameters import Deal


@final
class Table:
    """Empty before the first deal, and whenever keys are to be dealt anew.

    Attributes:
        hands: What each client was dealt, by name.
        dealt: What the server knows of it; None if the next round begins with a deal.
    """

    def __init__(self) -> None:
        self.hands: dict[str, Hand] = {}
        self.dealt: Dealt | None = None

    @property
    def deal(self) -> Deal | None:
        """The deal that goes on; None if there is none."""
        return self.dealt.desk.session.parameters.context.deal if self.dealt else None

    def hand(self, name: str) -> Hand:
        """Return a client's hand."""
        return self.hands.setdefault(name, Hand())

    def keep(self, server: MaskedServer) -> None:
        """Keep what a finished sum leaves for the round after it, or clear the server's side of the table."""
        self.dealt = server.dealt if server.goes_on else None
