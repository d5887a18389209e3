"""``securefed.toml``: settings beside the data, which flags override.

::

    [plan]
    data = "world:sketch,neon"
    clients = 8
    epsilon = 2.0

    [run]
    ledger = "ledgers"

A table is a command, a key one of its long options. The file is found in the working folder, or else in the folder
``data`` below it, where data sets are looked for; folders above are not searched. A path in it starts where the file
is. Where the data are ``folder:PATH``, the file may lie in that folder, too. Which settings came from it is said every
time: none of them acts in silence.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from securefed.cli.machine import ROOT
from securefed.cli.screen import note
from securefed.errors import ChoiceError, ConfigError

NAME = "securefed.toml"

ONCE = ("audit", "init", "json", "watch")
"""Options that ask for something once, and are no settings."""

HEAD = """\
# Settings of securefed, found by itself in this folder or in its folder data. Flags override what stands here, paths
# start where this file is. Take the mark away from a line to set it.

"""

PLACES = (Path(NAME), ROOT / NAME)

WORDS = "securefed.words"
"""Where a context keeps what was written behind the command."""

FOLDER = "folder:"


def defaults(context: click.Context, named: Path | None) -> dict[str, dict[str, Any]]:
    """Return what the settings file gives each command, for click's ``default_map``.

    Raises:
        ConfigError: If the file cannot be read, is not TOML, or names a command, option or value that there is not.
    """
    places = (*PLACES, *_beside(context.meta.get(WORDS, ())))
    path = named or next((place for place in places if place.is_file()), None)
    if path is None or not isinstance(context.command, click.Group):
        return {}
    commands = context.command.commands
    found = {}
    for name, table in _read(path).items():
        if name not in commands:
            raise ChoiceError(f"table in {path}", name, commands)
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {name} = {table!r} stands outside a table; put it below [plan] or [run]")
        found[name] = _options(path, commands[name], table)
    if used := found.get(context.invoked_subcommand or ""):
        note(f"settings from {path}: {', '.join(used)}")
    return found


def _beside(words: Sequence[str]) -> Iterator[Path]:
    """Yield where a settings file would lie beside the data that a command line names."""
    values = dict(pairwise(words)) | dict(word.split("=", 1) for word in words if "=" in word)
    root = Path(values.get("--data-root") or values.get("--root") or ROOT)
    for word in (*words, values.get("--data", "")):
        if word.startswith(FOLDER):
            yield root / word.removeprefix(FOLDER) / NAME


def commented(context: click.Context) -> str:
    """Return a settings file for planning and running in which every option is explained and none is set."""
    parent = context.parent
    group = parent.command if parent is not None else context.command
    commands = group.commands if isinstance(group, click.Group) else {}
    return HEAD + "\n".join(_explained(commands[name]) for name in ("plan", "run"))


def _explained(command: click.Command) -> str:
    lines = [f"[{command.name}]"]
    for name, option in _settable(command).items():
        value = option.default
        shown = json.dumps(value if isinstance(value, int | float | str) else f"{value or ''}")
        lines += [f"# {option.help}", f"# {name} = {shown}", ""]
    return "\n".join(lines)


def _settable(command: click.Command) -> dict[str, click.Option]:
    """Return the options of a command that a file may set, by their long names."""
    options = (param for param in command.params if isinstance(param, click.Option) and param.expose_value)
    named = {max(option.opts, key=len).lstrip("-"): option for option in options}
    return {name: option for name, option in named.items() if name not in ONCE}


def _options(path: Path, command: click.Command, table: dict[str, Any]) -> dict[str, Any]:
    """Return the values of one command's table by parameter, paths made to start at the file."""
    known = _settable(command)
    values = {}
    for key, value in table.items():
        if (option := known.get(key)) is None:
            raise ChoiceError(f"option of [{command.name}] in {path}", key, known)
        is_path = isinstance(option.type, click.Path) and isinstance(value, str)
        values[option.name or key] = str(path.parent / value) if is_path else value
    return values


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
