"""All commands under one name, and what holds for each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from securefed.cli import (
    agent,
    audit,
    compare,
    data,
    decryptor,
    deploy,
    encode,
    plan,
    provision,
    report,
    resume,
    run,
    settings,
    simulate,
    threats,
    verify,
)
from securefed.cli.failures import Command, Group

app = typer.Typer(
    cls=Group,
    help="Privacy-hardened federated learning of CLIP adapters.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # what draws its boxes takes longer to import than all of this
    context_settings={"max_content_width": 120},
)

COMMANDS: dict[Callable[..., None], str] = {
    plan.plan: "securefed plan --clients 200 --epsilon 2 --plot what-if.png --out plan.toml",
    run.run: "securefed run plan.toml --out runs/demo --watch",
    resume.resume: "securefed resume runs/demo",
    report.report: "securefed report runs/demo --bundle",
    verify.verify: "securefed verify runs/demo",
    compare.compare: "securefed compare runs/one runs/two --plot compared.png",
    data.data: "securefed data world:sketch,neon --partition dirichlet:0.5 --sheet sheet.png",
    audit.audit: "securefed audit --json",
    provision.provision: "securefed provision plan.toml --task study-1 --out kits",
    encode.encode: "securefed encode kits/clients/north photos",
    agent.agent: "securefed agent --policy kits/clients/north/policy.toml --socket /run/securefed/north.sock",
    decryptor.decryptor: "securefed decryptor --kit kits/decryptor --socket /run/securefed/decryptor.sock",
    simulate.simulate: "securefed simulate plan.toml --out simulation",
    deploy.deploy: "securefed deploy plan.toml --out federation",
}
"""Every command, with its example."""

for command, example in COMMANDS.items():
    app.command(cls=Command, epilog=f"Example: {example}")(command)

app.add_typer(threats.app, name="threats")


@app.callback()
def everywhere(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings file; by default securefed.toml here, in the folder data, or beside the data."),
    ] = None,
) -> None:
    """Privacy-hardened federated learning of CLIP adapters."""
    context.default_map = settings.defaults(context, config)


def main() -> None:
    """Run the command line."""
    app()
