"""The page of the command line, written from the commands themselves, so that it says what ``--help`` says.

The site's ``docs/conf.py`` puts it in the place of :data:`MARKER`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import typer.main

from securefed.cli import app

MARKER = "<!-- every command -->"

EVERYWHERE = {"--debug", "--help"}
"""Options of every command, which the page names once."""


def commands() -> dict[str, click.Command]:
    """Return every command by its name, such as ``threats list``, in the order of ``securefed --help``."""
    return dict(_within(typer.main.get_command(app)))


def _within(command: click.Command, *names: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _within(inner, *names, name)
    else:
        yield " ".join(names), command


def reference() -> str:
    """Return Markdown: for each command what it does, its usage, an example, arguments and options."""
    return "\n".join(line for name, command in commands().items() for line in _section(name, command))


def _section(name: str, command: click.Command) -> Iterator[str]:
    parent = click.Context(click.Group("securefed"), info_name="securefed")
    context = click.Context(command, info_name=name, parent=parent)
    yield from (f"## {name}", "", command.help or "", "")
    yield from ("```text", f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}", "```", "")
    yield from (re.sub(r"^Example: (.*)", r"Example: `\1`", command.epilog or ""), "")
    for parameter in command.params:
        if not EVERYWHERE.intersection(parameter.opts):
            yield from _entry(parameter, context)


def _entry(parameter: click.Parameter, context: click.Context) -> Iterator[str]:
    """Return an entry of a definition list."""
    record = parameter.get_help_record(context)
    shown = parameter.make_metavar(context) if record is None else record[0]
    yield from (f"`{shown}`", f": {getattr(parameter, 'help', '')}{_more(parameter)}", "")


def _more(parameter: click.Parameter) -> str:
    if parameter.required:
        return " Required."
    has_value = isinstance(parameter.default, str | int | float | Path) and not isinstance(parameter.default, bool)
    return f" By default `{parameter.default}`." if has_value else ""
