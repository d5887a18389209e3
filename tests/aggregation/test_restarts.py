"""Clients with journals on disk, in processes that end and begin again, some of them killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from securefed.aggregation.base import secure_sum
from securefed.aggregation.identity import Federation
from securefed.aggregation.journal import Journal, open_journals
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.parameters import Context, Deal, default_threshold
from securefed.aggregation.refusals import Replay
from securefed.aggregation.table import Table
from securefed.rng import secure
from tests.aggregation.cohorts import context, parameters

CLIENTS = 5
NAMES = parameters(CLIENTS).cohort


def die_here(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def take_part(folder: Path, clients: int, changes: dict[str, object], die_in: str, said) -> None:
    """One process with every client's journal; says how the sum ended, or is killed in a phase before all answered."""
    public = parameters(
        clients, cohort=NAMES[:clients], threshold=default_threshold(clients), context=context(**changes)
    )
    ones = np.ones(public.dim, dtype=np.uint64)

    def die(phase: str, client: str) -> bool:
        if phase == die_in and client == public.cohort[-1]:
            die_here()
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
    return in_a_process(take_part, folder, clients, changes, die_in)


def in_a_process(play: Callable[..., None], *args: object) -> str:
    """What a process of its own says, or the signal that ended it."""
    fork = multiprocessing.get_context("fork")
    said, says = fork.Pipe(duplex=False)
    child = fork.Process(target=play, args=(*args, says))
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


STEADY = Deal(first=0, rounds=2)


def play_a_deal(folder: Path, die_in: str, said) -> None:
    """One process that plays a round with a deal and the steady one after it, or is killed in the latter's journal."""
    first = parameters(CLIENTS, cohort=NAMES, context=context(dealt=STEADY))
    steady = parameters(CLIENTS, cohort=NAMES, context=context(round=1, model=b"n" * 32, dealt=STEADY))
    members, table = Federation.throwaway(NAMES, rng=secure()), Table()
    with open_journals(folder, NAMES) as journals:
        for public in (first, steady):
            if public is steady and die_in:
                setattr(Journal, die_in, die_here)
            scheme = MaskedSum(public, members, journals=journals, table=table)
            ones = np.ones(public.dim, dtype=np.uint64)
            roles = {name: scheme.client(name, ones, rng=secure()) for name in NAMES}
            server = scheme.server()
            total = secure_sum(server, roles)
            table.keep(server)
    said.send(f"sum of {total[0]}")


def noted(folder: Path) -> list[tuple[bool, bool]]:
    """Which clients have begun the steady round, and which contributed to its model."""
    steady = context(round=1, model=b"n" * 32)
    with open_journals(folder, NAMES) as journals:
        return [(begun(journal, steady), journal.has_contributed(steady)) for journal in journals.values()]


def begun(journal: Journal, steady: Context) -> bool:
    try:
        journal.begin(replace(steady, model=b"o" * 32))
    except Replay:
        return True
    return False


@pytest.mark.parametrize("die_in", ["", "contribute", "reveal"])
def test_a_client_of_a_steady_round_has_begun_and_contributed_once_its_vector_is_made(tmp_path, die_in):
    said = in_a_process(play_a_deal, tmp_path, die_in)

    assert said == ("SIGKILL" if die_in else "sum of 5")
    made = 0 if die_in == "contribute" else CLIENTS
    assert noted(tmp_path) == [(True, True)] * made + [(False, False)] * (CLIENTS - made)
