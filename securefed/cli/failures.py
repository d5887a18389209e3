"""How a command fails: one readable block, an exit code, and a traceback only for those who ask.

The block says what does not hold and, where they are known, where, which values are allowed and which is the nearest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import click
import typer
from typer.core import TyperCommand, TyperGroup

from securefed.cli import settings
from securefed.cli.screen import console, note
from securefed.cli.usage import choices, usage_block
from securefed.errors import ChoiceError, ConfigError, SecureFedError, VerificationError

DEBUG = "securefed.debug"

PASSED = (click.exceptions.NoArgsIsHelpError, click.exceptions.Exit, click.Abort)
"""What is no failure of a command."""


@final
class Command(TyperCommand):
    """A command that knows ``--debug``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug_option())

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; what is said of it names this command."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def get_help(self, ctx: click.Context) -> str:
        """Return the help as plain text: typer quotes brackets for a renderer that is not used."""
        return super().get_help(ctx).replace("\\[", "[")


@final
class Group(TyperGroup):
    """All commands: turns errors into one block and an exit code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug_option())

    def invoke(self, ctx: click.Context) -> Any:
        """Carry out a command."""
        ctx.meta.setdefault(settings.WORDS, list(ctx.args))
        try:
            return super().invoke(ctx)
        except PASSED:
            raise
        except (Exception, KeyboardInterrupt) as error:
            if ctx.meta.get(DEBUG) and not isinstance(error, click.UsageError):
                raise
            _say(error)
            raise typer.Exit(exit_code(error)) from None

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        """Read what stands before the command."""
        try:
            return super().make_context(*args, **named)
        except PASSED:
            raise
        except click.UsageError as error:
            _say(error)
            raise typer.Exit(exit_code(error)) from None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Return the command that is named."""
        if args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise ChoiceError("command", args[0], self.commands)
        return super().resolve_command(ctx, args)


def _say(error: BaseException) -> None:
    """Write the block to standard error, every character of it seen."""
    for name, text in usage_block(error) if isinstance(error, click.ClickException) else block(error):
        console.print(f"[bold red]{name}:[/] ", end="")
        note(text)


def block(error: BaseException) -> Iterator[tuple[str, str]]:
    """Return what is said of an error, line by line."""
    match error:
        case ChoiceError():
            yield "error", f"{error.where} is {error.value!r}, which is none of those there are"
            yield from choices(error.value, error.allowed)
        case VerificationError():
            yield "error", error.problem
            if error.where:
                yield "where", error.where
        case SecureFedError():
            yield "error", str(error)
        case OSError():
            yield "error", error.strerror or str(error)
            if error.filename:
                yield "where", str(error.filename)
        case KeyboardInterrupt():
            yield "interrupted", str(error) or "a run that was going on is continued by 'securefed resume FOLDER'"
        case _:
            yield "error", f"{type(error).__name__}: {error}"
            yield "where", "in securefed itself; the same command with --debug shows the place"


def exit_code(error: BaseException) -> int:
    """Return 2 for bad input, 1 for everything else."""
    return 2 if isinstance(error, ConfigError | OSError | click.UsageError) else 1


def _debug_option() -> click.Option:
    def remember(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.meta[DEBUG] = True

    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, callback=remember, help="Show the traceback of an error."
    )
