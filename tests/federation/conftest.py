"""Federations that close their files."""

import pytest

from tests.federation.parties import Federated


@pytest.fixture
def federate(tmp_path):
    made = []

    def make(plan, name="parties", **changes):
        folder = tmp_path / name
        folder.mkdir()
        made.append(Federated(folder, plan, **changes))
        return made[-1]

    yield make
    for each in made:
        each.close()
