"""What is said of a command line that does not hold together: what, where, what is allowed, what is nearest."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

import click

MOST = 40
"""Values that are told; of more, only the nearest."""


def usage_block(error: click.ClickException) -> Iterator[tuple[str, str]]:
    """Return what is said of a mistake that was found before any command began, line by line."""
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "securefed"
    place = "where", f"'{where}'; it explains itself by '{where} --help'"
    match error:
        case click.NoSuchOption() if context is not None:
            yield from (("error", f"there is no option {error.option_name}"), place)
            yield from choices(error.option_name, _options(context))
        case click.MissingParameter():
            yield from (("error", f"{_name(error)} is missing"), place)
            yield from _allowed(error, "")
        case click.BadParameter():
            yield from (("error", f"{_name(error)}: {error.message}"), place)
            yield from _allowed(error, _given(error))
        case _:
            yield from (("error", error.format_message()), place)


def choices(value: str, allowed: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return which values there are, and the one that looks most like the given one."""
    if 0 < len(allowed) <= MOST:
        yield "allowed", ", ".join(allowed)
    if allowed and value:
        yield "nearest", difflib.get_close_matches(value, allowed, n=1, cutoff=0.0)[0]


def _options(context: click.Context) -> list[str]:
    return [max(param.opts, key=len) for param in context.command.get_params(context) if param.opts[0].startswith("-")]


def _name(error: click.BadParameter) -> str:
    """Return a parameter as it is written on a command line."""
    if error.param is None:
        return str(error.param_hint or "a value")
    option = max(error.param.opts, key=len)
    return option if option.startswith("-") else error.param.make_metavar(error.ctx or click.Context(click.Command("")))


def _given(error: click.BadParameter) -> str:
    """Return the value that click quotes at the beginning of its message."""
    return error.message.split("'")[1] if error.message.count("'") >= 2 else ""


def _allowed(error: click.BadParameter, given: str) -> Iterator[tuple[str, str]]:
    """Return what a parameter takes: its values if it has a list of them, its kind and its help if it has none."""
    if error.param is None:
        return
    kind = error.param.type
    if isinstance(kind, click.Choice):
        yield from choices(given, [str(choice) for choice in kind.choices])
        return
    yield "allowed", f"{_kind(kind)}. {getattr(error.param, 'help', None) or ''}".strip()
    if isinstance(kind, click.IntRange) and kind.min is not None:
        yield "nearest", str(kind.min)


def _kind(kind: click.ParamType[Any]) -> str:
    if isinstance(kind, click.IntRange):
        return f"a whole number from {kind.min}" + ("" if kind.max is None else f" to {kind.max}")
    return {"integer": "a whole number", "float": "a number", "path": "a path"}.get(kind.name, "text")
