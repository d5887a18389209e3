"""``securefed threats``: games that adversaries play against the installed package, and the scorecard of all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from securefed.cli.failures import Command, Group
from securefed.cli.screen import AsJson, cell, note, progress, tell, wide

if TYPE_CHECKING:
    from securefed.threat_models.parts import PlayedPart

app = typer.Typer(
    cls=Group,
    help="Play attacks against the installed package: what they achieve with its defences off and on.",
    no_args_is_help=True,
)

RowName = Annotated[str, typer.Argument(help="Name of a row, for example T09; 'securefed threats list' has all.")]
Profile = Annotated[Literal["smoke", "full"], typer.Option(help="smoke: one seed, few trials; full: five seeds, many.")]
Seed = Annotated[int, typer.Option(help="The first seed; repeats every trial.", min=0)]

PAGE, RESULTS = Path("SECURITY.md"), Path("benchmarks/results")
"""As :mod:`securefed.threat_models.security` has them, which takes numpy to read."""

PROCESSES = min(4, os.cpu_count() or 1)

MARKS = {"PASS": "green", "FAIL": "bold red", "INVALID": "bold red", "NOT CLAIMED": "yellow"}


def list_rows(as_json: AsJson = False) -> None:
    """List every row: who attacks, and what it tries."""
    from securefed.threat_models.registry import ROWS

    rows = [{"row": row.id, "adversary": row.adversary.id, "title": row.title, "arms": len(row.arms)} for row in ROWS]
    _print("rows", rows, as_json=as_json)


def show(name: RowName, as_json: AsJson = False) -> None:
    """Show one row: its adversary's view, its measure, its arms and what is claimed of each."""
    from securefed.threat_models.registry import row_of
    from securefed.threat_models.words import described

    row = described(row_of(name))
    if as_json:
        typer.echo(json.dumps(row))
        return
    arms = row.pop("arms")
    for key, value in row.items():
        tell(f"{key:12} {', '.join(value) if isinstance(value, list) else value}")
    wide().print(_table(arms))


def run(name: RowName, *, profile: Profile = "smoke", seed: Seed = 0, as_json: AsJson = False) -> None:
    """Play one row, every arm of it."""
    from securefed.threat_models.scorecard import SEEDS, exit_code, scorecard

    with _playing(SEEDS[profile]) as told:
        card = scorecard(profile, seed=seed, rows=(name,), on_part=told)
    _print_card(card, as_json=as_json)
    raise typer.Exit(exit_code(card))


def play(
    *,
    profile: Profile = "smoke",
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the scorecard as JSON, Markdown and a page; goes on where it was.")
    ] = None,
    processes: Annotated[
        int,
        typer.Option(help="Rows that are played at the same time.", min=1, show_default="the processors, at most 4"),
    ] = min(4, os.cpu_count() or 1),
    as_json: AsJson = False,
) -> None:
    """Play every row under every seed of the profile."""
    from securefed.reports.attacks import to_page
    from securefed.threat_models.folder import begin, finish
    from securefed.threat_models.markdown import command
    from securefed.threat_models.pictures import pictures
    from securefed.threat_models.scorecard import EVERY, SEEDS, exit_code, scorecard

    parts = begin(out) if out is not None else None
    with _playing(len(EVERY) * SEEDS[profile]) as told:
        card = scorecard(profile, seed=seed, rows=EVERY, processes=processes, parts=parts, on_part=told)
    _print_card(card, as_json=as_json)
    if out is not None:
        finish(card, out, to_page(card, pictures(seed), command=command(card)))
        note(f"scorecard: {out / 'scorecard.html'}")
    raise typer.Exit(exit_code(card))


def diff(
    old: Annotated[Path, typer.Argument(help="Scorecard before: a scorecard.json.")],
    new: Annotated[Path, typer.Argument(help="Scorecard after.")],
    as_json: AsJson = False,
) -> None:
    """Compare two scorecards arm by arm; exit code 1 if something is protected less or looked at no longer."""
    import dataclasses

    from securefed.threat_models.differences import differences, is_worse
    from securefed.threat_models.scorecard import read

    found = differences(read(old), read(new))
    _print("differences", [dataclasses.asdict(each) for each in found], as_json=as_json)
    if not found and not as_json:
        typer.echo("no difference")
    raise typer.Exit(int(is_worse(found)))


def doc(
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit code 1 if it would change.")] = False,
    results: Annotated[Path, typer.Option(help="Folder of the published scorecard and kill rate.")] = RESULTS,
    page: Annotated[Path, typer.Option(help="The page.")] = PAGE,
    as_json: AsJson = False,
) -> None:
    """Make SECURITY.md from promises, messages and the published scorecard."""
    from securefed.threat_models import security

    if check:
        security.check(results, page)
    else:
        security.write(results, page)
    if as_json:
        typer.echo(json.dumps({"page": str(page), "checked": check}))
    else:
        tell(f"{page} {'is what promises and results make' if check else 'written'}")


COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "list": (list_rows, "securefed threats list"),
    "show": (show, "securefed threats show T09"),
    "run": (run, "securefed threats run T09 --seed 7"),
    "scorecard": (play, "securefed threats scorecard --profile full --out scorecard"),
    "doc": (doc, "securefed threats doc --check"),
    "diff": (diff, "securefed threats diff before/scorecard.json scorecard/scorecard.json"),
}
"""Every command below ``threats``, with its example."""

for word, (function, example) in COMMANDS.items():
    app.command(word, cls=Command, epilog=f"Example: {example}")(function)


@contextmanager
def _playing(parts: int) -> Iterator[Callable[[PlayedPart], None]]:
    """Show how many parts are played, a part being a row under a seed; yields what is told of each."""
    with progress() as bar:
        task = bar.add_task("rows", total=parts)
        yield lambda _part: bar.advance(task)


def _print_card(card: dict[str, Any], *, as_json: bool) -> None:
    from securefed.threat_models.markdown import ABOUT_ROW, COLUMNS, cells

    if as_json:
        typer.echo(json.dumps(card))
        return
    table, above = Table(*COLUMNS), ""
    for result in card["results"]:
        *texts, verdict = map(cell, cells(result))
        if result["row"] == above:
            texts[:ABOUT_ROW] = [""] * ABOUT_ROW
        above, color = result["row"], MARKS.get(result["verdict"], "default")
        table.add_row(*texts, f"[{color}]{verdict}[/]")
    wide().print(table)


def _print(what: str, rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({what: rows}))
    elif rows:
        wide().print(_table(rows))


def _table(rows: Iterable[dict[str, Any]]) -> Table:
    rows = list(rows)
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*("–" if value is None else cell(str(value)) for value in row.values()))
    return table
