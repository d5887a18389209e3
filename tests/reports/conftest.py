"""Runs that were not private, which several tests look at."""

import pytest

from securefed import recipes, runs
from securefed.reports import render
from securefed.rng import seeded


@pytest.fixture(scope="session")
def seeded_run(small_plan, tmp_path_factory):
    """With noise and keys from a seed, on ledgers that have room for another run."""
    out = tmp_path_factory.mktemp("seeded")
    runs.execute(small_plan, out / "run", ledgers=out / "books", budget=4.0, rng=lambda *labels: seeded(1, *labels))
    render.write_report(out / "run")
    return out / "run"


@pytest.fixture(scope="session")
def open_run(tmp_path_factory):
    """Without privacy and without masks; nobody trained on the domain neon."""
    out = tmp_path_factory.mktemp("open") / "run"
    plan = recipes.cachefl(
        data="world:sketch,neon",
        left_out="neon",
        records=60,
        classes=("cat", "star"),
        clients=3,
        rounds=1,
        delta=1e-3,
        setting="none",
        secure="plain",
    )
    runs.execute(plan, out)
    render.write_report(out)
    return out
