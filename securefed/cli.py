"""The command line: ``securefed plan | run | report | verify | provision | audit``.

Exit codes: 0 ok, 1 failed check, 2 bad input.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from securefed.errors import ConfigError, SecureFedError

if TYPE_CHECKING:
    from securefed.aggregation.audit import Result

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
def plan(
    *,
    out: Annotated[Path | None, typer.Option(help="File to write the plan to, for 'securefed run'.")] = None,
    data: Annotated[str, typer.Option(help="digits, or world:DOMAIN[,DOMAIN].")] = "digits",
    partition: Annotated[str, typer.Option(help="iid, dirichlet:ALPHA, domain or domain+dirichlet:ALPHA.")] = "iid",
    clients: Annotated[int, typer.Option(help="Size of the cohort.")] = 8,
    setting: Annotated[str, typer.Option(help="distributed, per-client, client-level or none.")] = "distributed",
    secure: Annotated[str, typer.Option(help="mask, ckks, bfv or plain.")] = "mask",
    epsilon: Annotated[float, typer.Option(help="Target per record, or per client.")] = 4.0,
    delta: Annotated[float, typer.Option(help="Target, below 1 / records.")] = 1e-5,
    rounds: Annotated[int | None, typer.Option(help="Model updates [chosen by the noise].")] = None,
    local_steps: Annotated[int, typer.Option(help="Steps of a client in each round.")] = 1,
    sampling: Annotated[str, typer.Option(help="full, poisson or shuffled.")] = "full",
    sampling_rate: Annotated[float, typer.Option(help="Share of the records in a step.")] = 1.0,
    noise: Annotated[str, typer.Option(help="discrete-gaussian or skellam.")] = "discrete-gaussian",
    max_dropouts: Annotated[int | None, typer.Option(help="Dropouts to size the noise for.")] = None,
    max_colluders: Annotated[int | None, typer.Option(help="Colluders to size the noise for.")] = None,
    seed: Annotated[int, typer.Option(help="Of data choices; never of noise.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what choices cost before anything runs: securefed plan --clients 200 --epsilon 2 --out plan.toml."""
    with exit_codes():
        from securefed import recipes
        from securefed.reports.preview import preview

        choices = recipes.cachefl(
            data=data,
            partition=partition,
            clients=clients,
            setting=setting,
            secure=secure,
            epsilon=epsilon,
            delta=delta,
            rounds=rounds,
            local_steps=local_steps,
            sampling=sampling,
            sampling_rate=sampling_rate,
            noise=noise,
            max_dropouts=max_dropouts,
            max_colluders=max_colluders,
            seed=seed,
        )
        if out is not None:
            write_new(out, choices.to_toml())
        shown = preview(choices)
        if as_json:
            typer.echo(json.dumps(shown))
            return
        for name, value in shown.items():
            typer.echo(f"{name:32} {value:.6g}" if isinstance(value, float) else f"{name:32} {value}")


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(help="A plan, for example the plan.toml of an earlier run.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the new run; must be new or empty.")],
    ledger: Annotated[
        Path | None, typer.Option(help="Folder of the clients' ledgers; default: inside the run.")
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Epsilon that new ledgers allow over all runs.")] = None,
    mirror: Annotated[
        Path | None, typer.Option(help="Folder in another place that remembers how far each ledger came.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="File with the floor that the clients' owners set.")] = None,
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
                mirrors=mirror,
                policy=policy,
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
            shown = {name: values.report[name] for name in ("epsilon", "delta")}
            typer.echo(json.dumps({"verified": True, **shown, "roster_root": values.roster_root}))
            return
        for sentence in values.checks:
            typer.echo(f"holds: {sentence}")
        typer.echo(f"verified, as far as roster {values.roster_root} is the one you know")


@app.command()
def provision(
    folder: Annotated[Path, typer.Argument(help="New folder for the identities.")],
    names: Annotated[list[str], typer.Argument(help="Names of the clients.")],
    as_json: AsJson = False,
) -> None:
    """Make identities and the roster of a federation: securefed provision identities north south east west."""
    with exit_codes():
        from securefed.aggregation.provision import provision as make
        from securefed.rng import secure

        try:
            root = make(names, folder, rng=secure()).root.hex()
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written: {error.strerror}") from error
        if as_json:
            typer.echo(json.dumps({"roster": str(folder / "roster.json"), "root": root, "clients": sorted(names)}))
            return
        typer.echo(f"{folder / 'roster.json'}  for everybody; its root, to be compared by telephone:\n{root}")
        typer.echo(f"{folder / 'server'}  for the server alone\n{folder / 'clients'}/NAME  for that client alone")


@app.command()
def audit(as_json: AsJson = False) -> None:
    """Attack the installed secure sum by every move of its audit: securefed audit."""
    from securefed.aggregation.audit import ROWS, run_row

    results = []
    with progress() as bar:
        task = bar.add_task("audit", total=len(ROWS))
        for row in ROWS:
            results.append(run_row(row))
            bar.advance(task)
    failed = [result for result in results if not result.holds]
    if as_json:
        rows = [
            {
                "id": result.row.id,
                "adversary": result.row.adversary,
                "move": result.row.move,
                "expected": result.row.expected,
                "happened": result.happened,
                "holds": result.holds,
                "seconds": result.seconds,
            }
            for result in results
        ]
        typer.echo(json.dumps({"rows": rows, "failed": len(failed)}))
    else:
        print_audit(results)
        typer.echo(f"{len(results)} moves, {len(failed)} deviations")
    raise typer.Exit(1 if failed else 0)


def print_audit(results: list[Result]) -> None:
    """Print the audit as a table."""
    table = Table("", "adversary", "move", "expected", "happened")
    for result in results:
        mark = "[green]holds[/]" if result.holds else "[bold red]FAILS[/]"
        row = result.row
        table.add_row(mark, *(escape(cell) for cell in (row.adversary, row.move, row.expected, result.happened)))
    Console(width=None if console.is_terminal else 160).print(table)


def write_new(path: Path, text: str) -> None:
    """Write a file that does not exist yet."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path} exists; name a new file") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


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
