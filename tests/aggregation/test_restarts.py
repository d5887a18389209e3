"""Clients with journals on disk, in processes that end and begin again, some of them killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from securefed.aggregation.base import secure_sum
from securefed.aggregation.identity import Federation
from securefed.aggregation.journal import open_journals
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.parameters import default_threshold
from securefed.rng import secure
from tests.aggregation.cohorts import context, parameters

CLIENTS = 5
NAMES = parameters(CLIENTS).cohort


def take_part(folder: Path, clients: int, changes: dict[str, object], die_in: str, said) -> None:
    """One process with every client's journal; says how the sum ended, or is killed in a phase before all answered."""
    public = parameters(
        clients, cohort=NAMES[:clients], threshold=default_threshold(clients), context=context(**changes)
    )
    ones = np.ones(public.dim, dtype=np.uint64)

    def die(phase: str, client: str) -> bool:
        if phase == die_in and client == public.cohort[-1]:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    try:
        with open_journals(folder, public.cohort) as journals:
            scheme = MaskedSum(public, Federation.throwaway(public.cohort, rng=secure()), journals=journals)
            roles = {name: scheme.client(name, ones, rng=secure()) for name in public.cohort}
            total = secure_sum(scheme.server(), roles, lost=die)
    except Exception as error:
        said.send(f"{type(error).__name__}: {error}")
    else:
        said.send(f"sum of {total[0]}")


def process(folder: Path, *, clients: int = CLIENTS, die_in: str = "", **changes: object) -> str:
    """What a process of its own says, or the signal that ended it."""
    fork = multiprocessing.get_context("fork")
    said, says = fork.Pipe(duplex=False)
    child = fork.Process(target=take_part, args=(folder, clients, changes, die_in, says))
    child.start()
    child.join()
    return signal.Signals(-child.exitcode).name if child.exitcode else said.recv()


def test_a_finished_round_is_not_run_again_by_any_later_process(tmp_path):
    assert process(tmp_path) == "sum of 5"

    again = "Replay: round 0, attempt 0 of 'test' is not after round 0, attempt 0"
    model = "Replay: this model of 'test' was contributed to before, in another cohort or attempt"
    assert process(tmp_path) == again
    assert process(tmp_path, model=b"n" * 32) == again
    assert process(tmp_path, attempt=1) == model
    assert process(tmp_path, round=1) == model
    assert process(tmp_path, round=1, clients=4) == model
    assert process(tmp_path, round=1, model=b"n" * 32) == "sum of 5"


@pytest.mark.parametrize("phase", ["mask", "reveal"])
def test_a_killed_process_has_contributed_if_its_masked_vectors_were_made(tmp_path, phase):
    assert process(tmp_path, die_in=phase) == "SIGKILL"

    assert "this model of 'test' was contributed to before" in process(tmp_path, attempt=1)
    assert "this model of 'test' was contributed to before" in process(tmp_path, round=1, clients=4)


@pytest.mark.parametrize("phase", ["advertise", "share"])
def test_a_process_killed_before_that_has_lost_an_attempt_only(tmp_path, phase):
    assert process(tmp_path, die_in=phase) == "SIGKILL"

    assert "is not after round 0, attempt 0" in process(tmp_path)
    assert process(tmp_path, attempt=1) == "sum of 5"
