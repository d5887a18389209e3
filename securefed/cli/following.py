"""What a run shows while it goes on, and how it is stopped and reported: the same for a new and a resumed one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated

import typer

from securefed.cli.board import Board, rounds_in
from securefed.cli.interrupts import between_rounds
from securefed.cli.screen import console, counting, progress, show_report
from securefed.cli.trackers import trackers

if TYPE_CHECKING:
    from securefed.plan import Plan

Watch = Annotated[bool, typer.Option("--watch", help="Show rounds, accuracy, epsilon, bytes and dropouts live.")]
TensorBoard = Annotated[
    Path | None, typer.Option(help="Folder for TensorBoard's event files; needs securefed[tensorboard].")
]
MLflow = Annotated[str | None, typer.Option(help="Experiment of MLflow to log to; needs securefed[mlflow].")]

LOOK = 0.5
"""Seconds between two looks at what other processes have written."""


@contextmanager
def following(
    plan: Plan, out: Path, *, watch: bool, tensorboard: Path | None, mlflow: str | None
) -> Iterator[Callable[[int, float], None]]:
    """Follow a run on the screen, and let Ctrl-C stop it when a round is over.

    Yields:
        What the run tells each round's number and accuracy.
    """
    with ExitStack() as stack:
        over = stack.enter_context(between_rounds())
        logs = stack.enter_context(trackers(plan, out, tensorboard=tensorboard, mlflow=mlflow))
        board = stack.enter_context(Board(plan, out).shown(console)) if watch else None
        bar = stack.enter_context(progress(disable=watch))
        task = bar.add_task("rounds", total=plan.rounds)

        def on_round(number: int, accuracy: float) -> None:
            bar.update(task, completed=number)
            if board is not None:
                board.follow()
            for log in logs:
                log(number, accuracy)
            over()

        yield on_round


@contextmanager
def watching(out: Path, rounds: int) -> Iterator[None]:
    """Show how many rounds are over of a run that other processes carry out; silent without a terminal."""
    if not console.is_terminal:
        yield
        return
    with progress() as bar:
        task, over = bar.add_task("rounds", total=rounds), Event()

        def look() -> None:
            while not over.wait(LOOK):
                bar.update(task, completed=len(rounds_in(out)))

        (thread := Thread(target=look)).start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def report_on(out: Path, *, as_json: bool) -> None:
    """Write the report of a finished run, and show its main figures."""
    from securefed.reports import render
    from securefed.reports.record import read_object

    with counting("report") as on_sum:
        render.write_report(out, on_sum=on_sum)
    show_report(read_object(out / "report.json"), out, as_json=as_json)
