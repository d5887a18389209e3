"""``securefed plan``: what a choice costs, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from securefed.cli import settings
from securefed.cli.forecast import show
from securefed.cli.machine import ROOT, Checkpoint, DataRoot, PublicImages
from securefed.cli.screen import AsJson, picture, working, write_new
from securefed.cli.values import (
    ADAPTERS,
    MODELS,
    NOISE,
    PARTITIONS,
    SAMPLING,
    SECURE,
    SETTINGS,
    TINY,
    any_of,
    data_sets,
    domains,
    listed,
)


def plan(
    context: typer.Context,
    *,
    init: Annotated[
        bool, typer.Option("--init", help="Only write securefed.toml here, with every setting explained.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="File to write the plan to, for 'securefed run'.")] = None,
    accuracy: Annotated[
        float | None, typer.Option(help="Wanted accuracy: tells what would have to change to reach it.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="What-if picture to write: .png, .svg or .pdf.")] = None,
    adapter: Annotated[str, typer.Option(help=f"{listed(ADAPTERS)}.", autocompletion=any_of(ADAPTERS))] = "cachefl",
    model: Annotated[
        str,
        typer.Option(help="securefed-tiny, a name of open_clip, or local-dir:FOLDER.", autocompletion=any_of(MODELS)),
    ] = TINY,
    pretrained: Annotated[str | None, typer.Option(help="Tag of published weights, such as openai.")] = None,
    checkpoint: Checkpoint = None,
    data: Annotated[
        str,
        typer.Option(
            help="digits, world:DOMAIN[,DOMAIN], folder:PATH, torchvision:NAME or huggingface:PATH.",
            autocompletion=data_sets,
        ),
    ] = "digits",
    data_root: DataRoot = ROOT,
    public_images: PublicImages = None,
    partition: Annotated[
        str,
        typer.Option(help="iid, dirichlet:ALPHA, domain or domain+dirichlet:ALPHA.", autocompletion=any_of(PARTITIONS)),
    ] = "iid",
    left_out: Annotated[str | None, typer.Option(help="Domain that nobody trains on.", autocompletion=domains)] = None,
    clients: Annotated[int, typer.Option(help="Size of the cohort.")] = 8,
    setting: Annotated[str, typer.Option(help=f"{listed(SETTINGS)}.", autocompletion=any_of(SETTINGS))] = "distributed",
    secure: Annotated[str, typer.Option(help=f"{listed(SECURE)}.", autocompletion=any_of(SECURE))] = "mask",
    epsilon: Annotated[float, typer.Option(help="Target per record, or per client.")] = 4.0,
    delta: Annotated[float, typer.Option(help="Target, below 1 / records.")] = 1e-5,
    rounds: Annotated[int | None, typer.Option(help="Model updates [chosen by the noise].")] = None,
    local_steps: Annotated[int, typer.Option(help="Steps of a client in each round.")] = 1,
    sampling: Annotated[str, typer.Option(help=f"{listed(SAMPLING)}.", autocompletion=any_of(SAMPLING))] = "full",
    sampling_rate: Annotated[float, typer.Option(help="Share of the records in a step.")] = 1.0,
    noise: Annotated[str, typer.Option(help=f"{listed(NOISE)}.", autocompletion=any_of(NOISE))] = "discrete-gaussian",
    max_dropouts: Annotated[int | None, typer.Option(help="Dropouts to size the noise for.")] = None,
    max_colluders: Annotated[int | None, typer.Option(help="Colluders to size the noise for.")] = None,
    seed: Annotated[int, typer.Option(help="Of data choices; never of noise.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what choices cost before anything runs, and write the plan."""
    if init:
        write_new(Path(settings.NAME), settings.commented(context))
        typer.echo(json.dumps({"settings": settings.NAME}) if as_json else f"written: {settings.NAME}")
        return
    from securefed import recipes
    from securefed.machine import Machine
    from securefed.reports import whatif, whatif_plot

    if plot is not None:
        picture(plot)

    with working("plan"):
        choices = recipes.recipe(
            adapter,
            model=model,
            pretrained=pretrained,
            machine=Machine(checkpoint=checkpoint, root=data_root, public_images=public_images),
            data=data,
            partition=partition,
            left_out=left_out,
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
        shown = whatif.what_if(choices, accuracy)
    if out is not None:
        write_new(out, choices.to_toml())
    if plot is not None:
        whatif_plot.draw(choices, shown, plot)
    if as_json:
        typer.echo(json.dumps(shown))
        return
    show(shown)
