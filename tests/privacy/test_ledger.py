"""The ledger: durable, chained, and refusing."""

import json
import multiprocessing
import os
import signal
import sqlite3
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.errors import BudgetExceeded, ConfigError, LedgerError
from securefed.privacy import accounting
from securefed.privacy import ledger as ledgers
from securefed.privacy.accounting import SumOfShares
from securefed.privacy.clipping import Adjacency
from securefed.privacy.ledger import Ledger, parse, read_export
from securefed.privacy.storage import writing


def event(noise_multiplier=5.0):
    return SumOfShares(
        sensitivity=1000.0,
        share_stddev=accounting.share_stddev(noise_multiplier, sensitivity=1000.0, honest_shares=1),
        shares=1,
        max_dropouts=0,
        max_colluders=0,
        dim=10,
        unit="record",
        adjacency=Adjacency.ADD_OR_REMOVE_ONE,
    )


def opened(path, **changes):
    return Ledger.open(path, **{"dataset": "ours", "budget_epsilon": 4.0, "budget_delta": 1e-5} | changes)


def charge(ledger, number=1, *, run="first", noise_multiplier=5.0):
    return ledger.charge(event(noise_multiplier), run=run, round=number, purpose="train", plan_digest="00")


@pytest.fixture
def ledger(tmp_path):
    ledger = opened(tmp_path / "ours.sqlite")
    yield ledger
    ledger.close()


def test_charges_are_there_after_reopening(ledger, tmp_path):
    charges = [charge(ledger, number) for number in (1, 2, 3)]
    ledger.close()
    again = opened(tmp_path / "ours.sqlite")

    assert list(again.read().entries) == charges
    again.close()


def test_a_book_that_goes_on_is_the_book_that_would_be_read(ledger):
    """A charge is checked against what is remembered, not read anew; both must count the same events."""
    for number, noise_multiplier in enumerate([5.0, 6.0, 5.0, 7.0], 1):
        charge(ledger, number, noise_multiplier=noise_multiplier)
    lines = ledger.exported().splitlines()
    remembered, read = parse(lines[:1], where="here"), parse(lines, where="here")
    for entry, line in zip(read.entries, lines[1:], strict=True):
        remembered = remembered.followed_by(entry, line)

    assert remembered == read
    assert read.counts == {event(5.0): 2, event(6.0): 1, event(7.0): 1}


def test_a_charge_over_the_budget_is_refused_with_its_numbers_and_leaves_no_trace(ledger):
    with pytest.raises(BudgetExceeded) as refusal:
        for number in range(1, 200):
            charge(ledger, number)
    spent = accounting.epsilon([event()] * (number - 1), delta=1e-5, view="coalition")

    assert refusal.value.spent == pytest.approx(spent)
    assert refusal.value.spent <= 4.0 < refusal.value.asked
    assert refusal.value.left == pytest.approx(4.0 - spent)
    assert len(ledger.read().entries) == number - 1


def test_a_plan_calibrated_to_the_budget_fits_exactly_once(ledger):
    plan = [event(accounting.calibrate(epsilon=4.0, delta=1e-5, rounds=12))] * 12
    ledger.preflight(plan)
    for number in range(12):
        ledger.charge(plan[0], run="first", round=number, purpose="train", plan_digest="00")

    with pytest.raises(BudgetExceeded):
        ledger.preflight(plan[:1])


def test_runs_on_the_same_data_compose(ledger):
    charge(ledger, run="first")
    charge(ledger, run="second")
    both = accounting.epsilon([entry.event for entry in ledger.read().entries], delta=1e-5, view="coalition")

    assert both > accounting.epsilon([event()], delta=1e-5, view="coalition")


def test_an_existing_ledger_keeps_its_budget(ledger, tmp_path):
    again = opened(tmp_path / "ours.sqlite", budget_epsilon=1000.0)

    assert again.read().budget_epsilon == 4.0
    again.close()


@pytest.mark.parametrize("changes", [{"dataset": "theirs"}, {"budget_delta": 1e-6}], ids=str)
def test_a_ledger_of_other_data_or_another_delta_is_refused(ledger, tmp_path, changes):
    with pytest.raises(LedgerError, match=r"ours\.sqlite"):
        opened(tmp_path / "ours.sqlite", **changes)


@pytest.mark.parametrize(
    "changes", [{"budget_epsilon": 0.0}, {"budget_epsilon": float("inf")}, {"budget_delta": 0.0}], ids=str
)
def test_a_budget_that_limits_nothing_is_refused(tmp_path, changes):
    with pytest.raises(ConfigError, match="budget"):
        opened(tmp_path / "new.sqlite", **changes)


def test_the_identifier_of_the_data_is_not_in_the_export(ledger, tmp_path):
    ledger.export(tmp_path / "export.jsonl")

    assert "ours" not in (tmp_path / "export.jsonl").read_text()


def test_an_export_reads_as_the_ledger(ledger, tmp_path):
    charge(ledger)
    ledger.export(tmp_path / "export.jsonl")

    assert read_export(tmp_path / "export.jsonl") == ledger.read()


def lines_of(tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "ours.sqlite"
    ledger = opened(path)
    for number in range(4):
        charge(ledger, number)
    lines = ledger._lines()
    ledger.close()
    return lines


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    return lines_of(tmp_path_factory)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_any_changed_byte_before_the_last_line_breaks_the_chain(lines, data):
    number = data.draw(st.integers(0, len(lines) - 2))
    at = data.draw(st.integers(0, len(lines[number]) - 1))
    other = data.draw(st.sampled_from("0123456789abcdefxyz").filter(lambda c: c != lines[number][at]))
    changed = [*lines]
    changed[number] = lines[number][:at] + other + lines[number][at + 1 :]

    with pytest.raises(LedgerError, match=r"line \d+ does not hold"):
        parse(changed, where="ledger")


@pytest.mark.parametrize(
    "broken",
    [
        lambda lines: lines[1:],
        lambda lines: lines[:2] + lines[3:],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [],
        lambda lines: [*lines, "not json"],
        lambda lines: [*lines, "[]"],
    ],
)
def test_removed_reordered_repeated_and_foreign_lines_are_found(lines, broken):
    with pytest.raises(LedgerError):
        parse(broken(lines), where="ledger")


def test_an_edit_of_the_file_behind_its_back_stops_further_charges(ledger, tmp_path):
    charge(ledger)
    charge(ledger, 2)
    with sqlite3.connect(tmp_path / "ours.sqlite") as other:
        (line,) = other.execute("SELECT line FROM lines WHERE number = 2").fetchone()
        edited = json.loads(line)
        edited["event"]["share_stddev"] *= 100
        other.execute("UPDATE lines SET line = ? WHERE number = 2", (json.dumps(edited),))
    other.close()

    with pytest.raises(LedgerError, match="line 3 does not hold"):
        charge(ledger, 3)


def _charge_and_die(path, ready):
    ledger = opened(path)
    charge(ledger)
    ready.set()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_charge_that_returned_survives_a_kill(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_charge_and_die, args=(tmp_path / "ours.sqlite", ready))
    process.start()
    process.join()

    assert process.exitcode == -signal.SIGKILL
    ledger = opened(tmp_path / "ours.sqlite")
    assert len(ledger.read().entries) == 1
    ledger.close()


def _charge_many(path, run, count):
    ledger = opened(path, budget_epsilon=1000.0)
    for number in range(count):
        charge(ledger, number, run=run)
    ledger.close()


def test_two_processes_charge_one_ledger_without_losing_a_line(tmp_path):
    path = tmp_path / "ours.sqlite"
    opened(path, budget_epsilon=1000.0).close()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_charge_many, args=(path, run, 10)) for run in ("a", "b")]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    ledger = opened(path)
    assert sorted((entry.run, entry.round) for entry in ledger.read().entries) == [
        (run, number) for run in ("a", "b") for number in range(10)
    ]
    ledger.close()


@pytest.mark.parametrize("first", ["open", "charge"])
def test_a_charge_by_somebody_else_right_after_ones_own_commit_is_seen(tmp_path, monkeypatch, first):
    """Nobody holds the lock then; a budget for three charges must not let a fourth through."""
    path = tmp_path / "ours.sqlite"
    budget = accounting.epsilon([event()] * 3, delta=1e-5, view="coalition") + 1e-6
    other, waiting = opened(path, budget_epsilon=budget), []

    @contextmanager
    def overtaken(connection):
        with writing(connection):
            yield
        if waiting:
            charge(other, waiting.pop(), run="second")

    monkeypatch.setattr(ledgers, "writing", overtaken)
    waiting += [1] if first == "open" else []
    ledger = opened(path)
    waiting += [1] if first == "charge" else []
    for number in (1, 2):
        charge(ledger, number)
    with pytest.raises(BudgetExceeded):
        charge(ledger, 3)

    assert sorted(entry.run for entry in ledger.read().entries) == ["first", "first", "second"]
    ledger.close()
    other.close()


def test_a_damaged_file_is_an_error_with_a_way_out(tmp_path):
    path = tmp_path / "ours.sqlite"
    path.write_bytes(b"this is no database" * 100)

    with pytest.raises(LedgerError, match="Nothing may be drawn"):
        opened(path)


def test_a_place_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(LedgerError, match="rights"):
        opened(tmp_path / "file" / "ours.sqlite")


def test_a_disk_that_is_full_refuses_the_charge(ledger):
    charge(ledger)
    # SQLite reports a database that may not grow exactly as it reports a full disk.
    (pages,) = ledger._connection.execute("PRAGMA page_count").fetchone()
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    before = len(ledger.read().entries)
    with pytest.raises(LedgerError, match="full"):
        for number in range(2, 2000):
            ledger.charge(event(1000.0), run="x" * 500, round=number, purpose="train", plan_digest="00")

    kept = ledger.read().entries  # the chain still holds
    assert len(kept) >= before


def test_closing_ends_charging(tmp_path):
    ledger = opened(tmp_path / "ours.sqlite")
    ledger.close()

    with pytest.raises(LedgerError):
        charge(ledger)
