"""One small, real run that the tests of reports, verification and command line share."""

import shutil
from unittest import mock

import pytest

from securefed import checkpoint, inventory, recipes, runs
from securefed.reports import render


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
def _run(small_plan, tmp_path_factory):
    """The folder, and the private keys of everybody in it."""
    out, made, new_parties = tmp_path_factory.mktemp("run") / "run", [], checkpoint.new_parties
    keep = lambda *args, **named: made.append(new_parties(*args, **named)) or made[-1]  # noqa: E731
    with mock.patch.object(checkpoint, "new_parties", keep):
        runs.execute(small_plan, out, vanishing=1)
    render.write_report(out)
    return out, made[0]


@pytest.fixture(scope="session")
def _finished(_run):
    return _run[0]


@pytest.fixture(scope="session")
def members(_run):
    """The parties of the finished run, with their private keys."""
    return _run[1]


@pytest.fixture
def reseal(finished, members):
    """Write and sign the inventory of the finished run again, as only its server could."""
    return lambda: inventory.write(finished, sign=members.server.sign)


@pytest.fixture
def finished(_finished, tmp_path):
    """A finished run's folder, to be read or spoilt."""
    return shutil.copytree(_finished, tmp_path / "run")
