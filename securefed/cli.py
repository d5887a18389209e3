"""The command line: ``securefed run | report | verify``. Exit codes: 0 ok, 1 failed check, 2 bad input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from securefed.errors import ConfigError, SecureFedError

app = typer.Typer(
    help="Privacy-hardened federated learning of CLIP adapters.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
console = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
RunFolder = Annotated[Path, typer.Argument(help="Folder of a finished run, for example runs/demo.")]


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn securefed's errors into one readable line and an exit code: 2 for bad input, 1 for a failed check."""
    try:
        yield
    except SecureFedError as error:
        console.print(f"[bold red]error:[/] {type(error).__name__}: ", end="")
        console.print(str(error), markup=False, highlight=False)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(help="A plan, for example the plan.toml of an earlier run.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the new run; must be new or empty.")],
    ledger: Annotated[
        Path | None, typer.Option(help="Folder of the clients' ledgers; default: inside the run.")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Epsilon that new ledgers allow over all runs.")] = None,
    dropouts: Annotated[int, typer.Option(help="Clients that vanish in each round (simulated).")] = 0,
    as_json: AsJson = False,
) -> None:
    """Carry out a plan: securefed run runs/demo/plan.toml --out runs/again."""
    with exit_codes():
        from securefed import runs
        from securefed.plan import Plan
        from securefed.reports import render
        from securefed.reports.report import RunRecord, build

        choices = Plan.from_toml(plan)
        with progress() as bar:
            task = bar.add_task("rounds", total=choices.rounds)
            runs.execute(
                choices,
                out,
                ledgers=ledger,
                budget=budget,
                vanishing=dropouts,
                on_round=lambda _number, _accuracy: bar.advance(task),
            )
        values = build(RunRecord.read(out))
        render.write(values, out)
        show(values, out, as_json=as_json)


@app.command()
def report(folder: RunFolder, as_json: AsJson = False) -> None:
    """Make the report of a run again from what is on disk: securefed report runs/demo."""
    with exit_codes():
        from securefed.reports import render
        from securefed.reports.report import RunRecord, build

        values = build(RunRecord.read(folder))
        render.write(values, folder)
        show(values, folder, as_json=as_json)


@app.command()
def verify(folder: RunFolder, as_json: AsJson = False) -> None:
    """Check a run from its folder alone, epsilon recomputed from the ledgers: securefed verify runs/demo."""
    with exit_codes():
        from securefed.reports.verify import verify as check

        values = check(folder)
        if as_json:
            typer.echo(json.dumps({"verified": True, "epsilon": values["epsilon"], "delta": values["delta"]}))
            return
        typer.echo(f"verified: ledgers, plan, adapter and every figure of {folder / 'report.json'}")


def show(values: dict[str, object], folder: Path, *, as_json: bool) -> None:
    """Print a report's main figures."""
    if as_json:
        typer.echo(json.dumps(values))
        return
    for warning in values["warnings"] if isinstance(values["warnings"], list) else ():
        console.print(f"[bold red]{warning}[/]")
    for key in ("epsilon", "delta", "accuracy", "zero_shot_accuracy", "setting", "secure", "clients", "rounds"):
        typer.echo(f"{key:20} {values[key]}")
    typer.echo(f"{'report':20} {folder / 'report.md'}")


def progress() -> Progress:
    """Return a progress bar that is silent where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def main() -> None:
    """Run the command line."""
    app()
