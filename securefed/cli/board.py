"""The live view of a run: what stands in its own public files, and epsilon from its plan; nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from securefed.cli.screen import cell

if TYPE_CHECKING:
    from securefed.plan import Plan

SHOWN = 12
"""Rounds on the screen: the last ones."""

BLOCKS = "▁▂▃▄▅▆▇█"


@final
class Board:
    """A table with one line a round.

    Args:
        plan: Of the run.
        out: Its folder.
    """

    def __init__(self, plan: Plan, out: Path) -> None:
        self._plan, self._out = plan, out
        self._live: Live | None = None

    @contextmanager
    def shown(self, console: Console) -> Iterator[Self]:
        """Show the board while the block goes on; where there is no terminal, only its last state is written."""
        with Live(self.table(), console=console, auto_refresh=False) as live:
            self._live = live
            yield self
        self._live = None

    def follow(self) -> None:
        """Show what stands in the files now."""
        if self._live is not None:
            self._live.update(self.table(), refresh=True)

    def table(self) -> Table:
        """Return the board as it is now."""
        rounds = rounds_in(self._out)
        sizes: dict[int, int] = {}
        for message in _lines(self._out / "messages.jsonl"):
            sizes[message["round"]] = sizes.get(message["round"], 0) + message["bytes"]
        table = Table("round", "accuracy", "epsilon spent", "left", "dropped", "bytes", title=self._title(rounds))
        for line in rounds[-SHOWN:]:
            number = line["number"]
            dropped = self._plan.clients - len(line["survivors"])
            table.add_row(
                f"{number} of {self._plan.rounds}",
                f"{line['accuracy']:.3f}",
                *self._budget(number),
                "lost" if not line["survivors"] else str(dropped),
                f"{sizes.get(number, 0):,}",
            )
        return table

    def _title(self, rounds: list[dict[str, Any]]) -> str:
        values = [line["accuracy"] for line in rounds]
        low, high = min(values, default=0), max(values, default=0)
        heights = [round((value - low) / ((high - low) or 1) * (len(BLOCKS) - 1)) for value in values]
        return f"{cell(self._out.name)}  {''.join(BLOCKS[height] for height in heights)}"

    def _budget(self, number: int) -> tuple[str, str]:
        """Return what this run has spent after a round, and what its plan leaves."""
        if self._plan.epsilon is None:
            return "not private", ""
        from securefed.privacy.accounting import epsilon

        events = self._plan.events[: number * self._plan.steps]
        spent = epsilon(events, delta=self._plan.delta, view="coalition")
        return f"{spent:.3f}", f"{max(self._plan.epsilon - spent, 0.0):.3f}"


def rounds_in(out: Path) -> list[dict[str, Any]]:
    """Return what a run's folder says of every round that is over."""
    return [line for line in _lines(out / "metrics.jsonl") if line.get("kind") == "round"]


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file that is being written."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]
