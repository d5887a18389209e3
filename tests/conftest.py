"""One small, real run that the tests of reports, verification and command line share."""

import shutil

import pytest

from securefed import recipes, runs
from securefed.reports import render
from securefed.reports.report import RunRecord, build


@pytest.fixture(scope="session")
def small_plan():
    return recipes.cachefl(
        data="world:sketch,neon",
        records=90,
        classes=("cat", "star", "key"),
        clients=4,
        rounds=3,
        delta=1e-3,
        epsilon=2.0,
    )


@pytest.fixture(scope="session")
def _finished(small_plan, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    runs.execute(small_plan, out, vanishing=1)
    render.write(build(RunRecord.read(out)), out)
    return out


@pytest.fixture
def finished(_finished, tmp_path):
    """A finished run's folder, to be read or spoilt."""
    return shutil.copytree(_finished, tmp_path / "run")
