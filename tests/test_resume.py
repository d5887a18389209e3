"""A run whose process dies at any place goes on where it was: nothing is charged twice, and nothing leaves twice."""

import json
import os
import signal
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
from safetensors.numpy import load_file

from securefed import checkpoint, inventory, journey, recipes, rounds, runs
from securefed.aggregation.journal import Journal
from securefed.checkpoint import Checkpoint
from securefed.errors import ConfigError
from securefed.lines import Lines
from securefed.plan import Plan
from securefed.privacy.ledger import Ledger, read_export
from securefed.reports import render
from securefed.reports.verify import verify
from securefed.rng import seeded


class Death(BaseException):
    """The process dies here: nothing after it happens, nothing that is on disk is undone."""


def seeded_sources(purpose, number, client):
    return seeded(5, purpose, number, client)


@pytest.fixture(scope="module")
def plan():
    return recipes.cachefl(
        data="world:sketch", records=60, classes=("cat", "star"), clients=4, rounds=3, delta=1e-3, epsilon=2.0
    )


@pytest.fixture(scope="module", autouse=True)
def _encoded_once():
    """All runs here have the same data: encode it once."""
    real, known = runs.prepare, []

    def once(*args, **named):
        known.append(known[0] if known else real(*args, **named))
        return known[0]

    with mock.patch.object(runs, "prepare", once):
        yield


@pytest.fixture(scope="module")
def uninterrupted(plan, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    runs.execute(plan, out, rng=seeded_sources)
    return out


def dying(owner, name, call, *, after=False):
    """Let the process die before or after the given call of a function, the first being 1."""
    real, calls = getattr(owner, name), []

    def function(*args, **named):
        calls.append(name)
        if len(calls) == call and not after:
            raise Death
        result = real(*args, **named)
        if len(calls) == call:
            raise Death
        return result

    return mock.patch.object(owner, name, function)


def interrupt(plan, out, place, **named):
    with place, pytest.raises(Death):
        runs.execute(plan, out, rng=seeded_sources, **named)


def charges(folder):
    return [len(read_export(path).entries) for path in sorted((folder / "ledger").glob("*.jsonl"))]


def lines(folder, kind):
    found = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line for line in found if line["kind"] == kind]


UNTOUCHED = {
    "before the first charge": (Ledger, "charge", 1, False),
    "when some clients are charged for round 1": (Ledger, "charge", 3, False),
    "when a charge of round 2 is on disk and its noise is not drawn": (Ledger, "charge", 6, True),
    "when all are charged and keys are exchanged": (rounds, "secure_sum", 2, False),
    "before the first contribution of round 2": (Journal, "contribute", 5, False),
    "when round 2 is over and not yet written down": (Checkpoint, "write", 3, True),
    "within the last note": (journey.Journey, "_note", 3, False),
    "before the inventory": (inventory, "write", 1, False),
    "before the keys are forgotten": (checkpoint, "forget", 1, False),
}


@pytest.mark.parametrize("place", UNTOUCHED.values(), ids=UNTOUCHED)
def test_where_nothing_has_left_a_resumed_run_ends_as_if_it_had_never_died(plan, uninterrupted, tmp_path, place):
    owner, name, call, after = place
    interrupt(plan, tmp_path / "run", dying(owner, name, call, after=after))
    runs.resume(tmp_path / "run", rng=seeded_sources)

    ours, theirs = (load_file(folder / "adapter.safetensors") for folder in (tmp_path / "run", uninterrupted))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert charges(tmp_path / "run") == [3, 3, 3, 3]
    assert lines(tmp_path / "run", "round") == lines(uninterrupted, "round")
    assert not (tmp_path / "run" / "resume").exists()
    render.write_report(tmp_path / "run")
    assert verify(tmp_path / "run").report["epsilon"] == pytest.approx(2.0)


LOST = {
    "when one client has contributed": (Journal, "contribute", 6, False),
    "when shares are revealed": (Journal, "reveal", 5, False),
    "when the sum is known and not on disk": (Checkpoint, "write", 3, False),
}


@pytest.mark.parametrize("place", LOST.values(), ids=LOST)
def test_where_a_vector_may_have_left_the_round_is_lost_and_stays_charged(plan, tmp_path, place):
    owner, name, call, after = place
    interrupt(plan, tmp_path / "run", dying(owner, name, call, after=after))
    runs.resume(tmp_path / "run", rng=seeded_sources)

    assert charges(tmp_path / "run") == [3, 3, 3, 3]
    assert [len(line["survivors"]) for line in lines(tmp_path / "run", "round")] == [4, 0, 4]
    render.write_report(tmp_path / "run")
    report = verify(tmp_path / "run").report
    assert report["epsilon"] == pytest.approx(2.0)


@pytest.mark.parametrize("secure", ["plain", "bfv"])
def test_other_sums_remember_what_has_left_too(plan, tmp_path, secure):
    other = Plan.read(plan.model_dump() | {"secure": secure})
    interrupt(other, tmp_path / "run", dying(Checkpoint, "write", 3))
    runs.resume(tmp_path / "run", rng=seeded_sources)

    assert [len(line["survivors"]) for line in lines(tmp_path / "run", "round")] == [4, 0, 4]
    assert charges(tmp_path / "run") == [3, 3, 3, 3]


def test_a_lost_round_that_leaves_the_model_where_it_was_is_not_repeated(plan, tmp_path):
    """The first round has no momentum: clients would be asked for a second contribution to the same model."""
    interrupt(plan, tmp_path / "run", dying(Checkpoint, "write", 2))
    with pytest.raises(ConfigError, match="plan of 2 rounds"):
        runs.resume(tmp_path / "run", rng=seeded_sources)


def test_a_run_that_dies_twice_in_one_round_is_charged_once_for_it(plan, tmp_path):
    interrupt(plan, tmp_path / "run", dying(rounds, "secure_sum", 2))
    with dying(Journal, "contribute", 1), pytest.raises(Death):
        runs.resume(tmp_path / "run", rng=seeded_sources)
    runs.resume(tmp_path / "run", rng=seeded_sources)

    assert charges(tmp_path / "run") == [3, 3, 3, 3]
    assert [line["attempt"] for line in lines(tmp_path / "run", "resumed")] == [1, 2]


def test_without_a_journal_a_repeated_round_is_charged_again(plan, tmp_path):
    """Nobody could tell whether the vector that the first charge paid for has left."""
    out = tmp_path / "run"
    interrupt(plan, out, dying(rounds, "secure_sum", 1), budget=8.0)
    forgetful = lambda *args, **named: rounds.run_round(*args, **named | {"owners": rounds.NOBODY})  # noqa: E731
    with mock.patch.object(journey, "run_round", forgetful):
        runs.resume(out, rng=seeded_sources)

    assert charges(out) == [4, 4, 4, 4]


def test_half_a_line_at_the_end_of_a_file_is_taken_away(tmp_path):
    (tmp_path / "file.jsonl").write_text('{"number": 1}\n{"numb')
    with Lines(tmp_path / "file.jsonl") as file:
        assert file.last == {"number": 1}
        file.append(number=2)

    assert (tmp_path / "file.jsonl").read_text() == '{"number": 1}\n{"number": 2}\n'


def test_private_keys_are_for_their_owner_and_gone_when_the_run_is_finished(plan, uninterrupted, tmp_path):
    interrupt(plan, tmp_path / "run", dying(rounds, "secure_sum", 1))
    keys = list((tmp_path / "run" / "resume").rglob("identity.key"))

    assert len(keys) == 5
    assert all(key.stat().st_mode & 0o077 == 0 for key in keys)
    assert not list(uninterrupted.rglob("identity.key"))


def test_a_changed_plan_another_randomness_and_a_finished_run_are_refused(plan, uninterrupted, tmp_path):
    out = tmp_path / "run"
    interrupt(plan, out, dying(rounds, "secure_sum", 1))
    with pytest.raises(ConfigError, match="seed"):
        runs.resume(out)
    text = (out / "plan.toml").read_text()
    (out / "plan.toml").write_text(text.replace("seed = 0", "seed = 1"))
    with pytest.raises(ConfigError, match="not the plan"):
        runs.resume(out, rng=seeded_sources)
    with pytest.raises(ConfigError, match="nothing left to do"):
        runs.resume(uninterrupted, rng=seeded_sources)


def test_a_shuffled_order_is_not_resumed_within_a_pass(plan, tmp_path):
    """Who is in which part died with the process: dealt anew, a record could be in two parts of one pass."""
    values = plan.model_dump(exclude={"noise_multiplier"}) | {"sampling": "shuffled", "sampling_rate": 0.5}
    shuffled = Plan.create(**values | {"rounds": 4})
    interrupt(shuffled, tmp_path / "within", dying(rounds, "secure_sum", 2))
    with pytest.raises(ConfigError, match="middle of a pass"):
        runs.resume(tmp_path / "within", rng=seeded_sources)
    interrupt(shuffled, tmp_path / "between", dying(rounds, "secure_sum", 3))
    runs.resume(tmp_path / "between", rng=seeded_sources)
    assert charges(tmp_path / "between") == [4, 4, 4, 4]
    interrupt(shuffled, tmp_path / "begun", dying(Checkpoint, "write", 4))
    with pytest.raises(ConfigError, match="round 4 is in the middle of a pass"):
        runs.resume(tmp_path / "begun", rng=seeded_sources)  # round 3, lost, had dealt the parts of round 4


KILLED = """
import os, signal, sys
from pathlib import Path
from securefed import runs
from securefed.plan import Plan
out = Path(sys.argv[2])
kill = lambda number, accuracy: os.kill(os.getpid(), signal.SIGKILL) if number == 2 else None
runs.execute(Plan.from_toml(Path(sys.argv[1])), out, on_round=kill)
"""


def test_a_process_that_is_killed_leaves_a_run_that_goes_on(plan, tmp_path):
    (tmp_path / "plan.toml").write_text(plan.to_toml())
    command = [sys.executable, "-c", KILLED, str(tmp_path / "plan.toml"), str(tmp_path / "run")]
    died = subprocess.run(command, env=os.environ, check=False)
    runs.resume(tmp_path / "run")
    render.write_report(tmp_path / "run")

    assert died.returncode == -signal.SIGKILL
    assert charges(tmp_path / "run") == [3, 3, 3, 3]
    assert len(lines(tmp_path / "run", "round")) == 3
    assert verify(tmp_path / "run").report["private"]
