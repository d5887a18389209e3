"""What every command writes with: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from securefed.cli.values import run_folders
from securefed.errors import ConfigError
from securefed.reports.names import visible

console = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
RunFolder = Annotated[
    Path, typer.Argument(help="Folder of a finished run, for example runs/demo.", autocompletion=run_folders)
]

ENDINGS = (".png", ".svg", ".pdf")
"""Of pictures."""

LOOKED_BACK = 3600.0
"""Seconds whose steps tell how long the rest takes: a single round may take minutes."""

HEADLINES = ("epsilon", "delta", "accuracy", "zero_shot_accuracy", "setting", "secure", "clients", "rounds")
"""What is said of a run on the screen; the rest is in its report."""


def progress(*, disable: bool = False) -> Progress:
    """Return a progress bar with the time left, silent where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(
        *columns,
        console=console,
        disable=disable or not console.is_terminal,
        transient=True,
        speed_estimate_period=LOOKED_BACK,
    )


@contextmanager
def counting(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar of steps whose number is known only later.

    Yields:
        What is told how many steps are done, and how many there are.
    """
    with progress() as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def working(name: str) -> Iterator[None]:
    """Show that something goes on, and for how long, where its end is not known; silent without a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        bar.add_task(name, total=None)
        yield


def wide() -> Console:
    """Return where tables are printed: as wide as the terminal, or wide enough for a file."""
    return Console(width=None if console.is_terminal else 160)


def shown(text: str) -> str:
    """Return text of others as a terminal may have it: lines stay, no other character acts."""
    return "\n".join(map(visible, text.split("\n")))


def tell(text: str) -> None:
    """Print a result; whoever wrote a part of it makes the terminal do nothing."""
    typer.echo(shown(text))


def note(text: str) -> None:
    """Print what stands beside the results, to standard error, as harmless as they."""
    console.print(shown(text), markup=False, highlight=False, soft_wrap=True)


def cell(text: str) -> str:
    """Return text of others for a table or a title of rich, which then reads no markup in it."""
    return escape(visible(text))


def show_report(values: dict[str, Any], folder: Path, *, as_json: bool) -> None:
    """Print a report's main figures, what must stand at its top first."""
    if as_json:
        typer.echo(json.dumps(values))
        return
    for warning in values["warnings"]:
        console.print(visible(warning), style="bold red", markup=False)
    for key in HEADLINES:
        typer.echo(f"{key:20} {visible(str(values[key]))}")
    typer.echo(f"{'report':20} {visible(str(folder / 'report.html'))}")


def picture(path: Path) -> None:
    """Refuse a picture of no known kind.

    Raises:
        ConfigError: If the file's name does not say which kind it is.
    """
    if path.suffix not in ENDINGS:
        raise ConfigError(f"{path} ends in {path.suffix!r}; a picture ends in {', '.join(ENDINGS)}")


def write_new(path: Path, text: str) -> None:
    """Write a file that does not exist yet.

    Raises:
        ConfigError: If it exists or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path} exists; name a new file") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
