"""Crashes, full disks and folders without rights: a ledger loses at most budget, never a charge."""

import contextlib
import os
import resource
import signal
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from securefed.errors import BudgetExceeded, LedgerError
from securefed.privacy import accounting
from securefed.privacy.clipping import Adjacency
from securefed.privacy.ledger import Ledger
from securefed.privacy.shares import SumOfShares


def event(noise_multiplier):
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


CHEAP = event(50.0)


def opened(path, **changes):
    return Ledger.open(path, **{"dataset": "ours", "budget_epsilon": 4.0, "budget_delta": 1e-5} | changes)


def charge(ledger, number, which=CHEAP, run="run"):
    return ledger.charge(which, run=run, round=number, purpose="train", plan_digest="00")


def in_child(work):
    """Run something in a process of its own; return how it ended, and what it wrote."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with contextlib.suppress(BaseException):
            work(write)
        os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        said = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def killed_after(steps, path):
    """Charge in a child that is killed after some steps of SQLite's machine; tell whether the charge had returned."""

    def work(write):
        ledger = opened(path)
        left = [steps]

        def step():
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return 0

        ledger._connection.set_progress_handler(step, 1)
        charge(ledger, 99)
        os.write(write, b"returned")
        os._exit(0)

    return in_child(work)


def test_a_kill_at_any_step_of_a_charge_leaves_a_whole_ledger(tmp_path):
    """From the first step to the last: before, the charge is not there; after it returned, it is."""
    ends = set()
    for steps in [*range(1, 60, 2), *range(60, 400, 20)]:
        path = tmp_path / f"{steps}.sqlite"
        with contextlib.closing(opened(path)) as ledger:
            charge(ledger, 1)
        ended, said = killed_after(steps, path)
        with contextlib.closing(opened(path)) as ledger:
            rounds = [entry.round for entry in ledger.read().entries]
            assert rounds in ([1], [1, 99])
            if said == b"returned":
                assert rounds == [1, 99]
            charge(ledger, 2)
        ends.add((ended, len(rounds)))

    assert (-signal.SIGKILL, 1) in ends
    assert (0, 2) in ends


def test_a_kill_at_any_moment_loses_no_acknowledged_charge(tmp_path):
    path = tmp_path / "ours.sqlite"
    opened(path).close()
    known = 0
    for delay in (0.001, 0.003, 0.01, 0.02, 0.05, 0.08):

        def work(write, delay=delay):
            ledger = opened(path)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process at once, wherever it is
            signal.setitimer(signal.ITIMER_REAL, delay)
            while True:
                charge(ledger, 1)
                os.write(write, b".")

        ended, said = in_child(work)
        assert ended == -signal.SIGALRM
        with contextlib.closing(opened(path)) as ledger:
            there = len(ledger.read().entries)
        assert known + len(said) <= there <= known + len(said) + 1
        known = there
    assert known > 5


def test_a_file_that_may_not_grow_refuses_the_charge_and_stays_whole(tmp_path):
    path = tmp_path / "ours.sqlite"
    with contextlib.closing(opened(path)) as ledger:
        charge(ledger, 1)

    def work(write):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        ledger = opened(path)
        size = max(file.stat().st_size for file in path.parent.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20_000, size + 20_000))
        done = 0
        try:
            while done < 500:
                charge(ledger, 2)
                done += 1
        except LedgerError as error:
            os.write(write, f"{done} {error}".encode())
            os._exit(0)

    ended, said = in_child(work)
    done, error = said.decode().split(" ", 1)
    assert ended == 0
    assert "Nothing may be drawn" in error
    with contextlib.closing(opened(path)) as ledger:
        assert len(ledger.read().entries) - 1 in (int(done), int(done) + 1)
        charge(ledger, 3)


def test_a_folder_without_write_permission_is_an_error_with_a_way_out():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)

        def work(write):
            if os.getuid() == 0:
                os.setuid(65534)  # permissions do not bind root
            try:
                opened(folder / "ours.sqlite")
            except LedgerError as error:
                os.write(write, str(error).encode())

        _, said = in_child(work)
        folder.chmod(0o755)

    assert b"rights" in said
    assert name.encode() in said


def test_a_ledger_that_may_only_be_read_refuses_charges():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "ours.sqlite"
        with contextlib.closing(opened(path)) as ledger:
            charge(ledger, 1)
        path.chmod(0o444)
        folder.chmod(0o555)

        def work(write):
            if os.getuid() == 0:
                os.setuid(65534)
            try:
                charge(opened(path), 2)
            except LedgerError as error:
                os.write(write, str(error).encode())

        _, said = in_child(work)
        folder.chmod(0o755)
        path.chmod(0o644)
        with contextlib.closing(opened(path)) as ledger:
            assert len(ledger.read().entries) == 1

    assert b"Nothing may be drawn" in said


def test_a_ledger_whose_salt_was_taken_is_not_taken_for_this_data(tmp_path):
    path = tmp_path / "ours.sqlite"
    opened(path).close()
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        other.execute("DELETE FROM salt")

    with pytest.raises(LedgerError, match="another data set"):
        opened(path)


def test_a_reader_that_never_ends_does_not_lose_a_charge(tmp_path):
    path = tmp_path / "ours.sqlite"
    with contextlib.closing(opened(path)) as ledger, contextlib.closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM lines").fetchall()
        charge(ledger, 1)

        assert len(ledger.read().entries) == 1


def test_a_writer_that_never_ends_is_an_error_after_some_patience(tmp_path, monkeypatch):
    monkeypatch.setattr("securefed.privacy.storage.PATIENCE", 0.1)
    path = tmp_path / "ours.sqlite"
    with contextlib.closing(opened(path)) as ledger, contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked"):
            charge(ledger, 1)
        other.execute("ROLLBACK")
        charge(ledger, 1)


class LedgerMachine(RuleBasedStateMachine):
    """Any order of charges, crashes, restarts, second writers, preflights and rollbacks."""

    @initialize()
    def start(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger" / "ours.sqlite"
        self.mirror = Path(self.folder.name) / "mirror.sqlite"
        self.open = [opened(self.path, mirror=self.mirror)]
        self.charged = []
        self.backup = None

    @rule(noise=st.sampled_from([2.0, 5.0, 20.0]), writer=st.integers(0, 1))
    def charge(self, noise, writer):
        ledger = self.open[writer % len(self.open)]
        fits = accounting.epsilon([*self.charged, event(noise)], delta=1e-5, view="coalition") <= 4.0
        if fits:
            charge(ledger, len(self.charged), event(noise))
            self.charged.append(event(noise))
        else:
            with pytest.raises(BudgetExceeded) as refusal:
                charge(ledger, len(self.charged), event(noise))
            assert refusal.value.spent <= 4.0 < refusal.value.asked

    @rule()
    def crash_in_a_charge(self):
        ledger = self.open[0]
        ledger._connection.execute("BEGIN IMMEDIATE")
        ledger._connection.execute("INSERT INTO lines (line) VALUES ('half')")
        ledger.close()
        self.open[0] = opened(self.path, mirror=self.mirror)

    @rule()
    def restart(self):
        self.open.pop(0).close()
        self.open.append(opened(self.path, mirror=self.mirror))

    @precondition(lambda self: len(self.open) == 1)
    @rule()
    def second_writer(self):
        self.open.append(opened(self.path, mirror=self.mirror))

    @rule(count=st.integers(1, 30))
    def preflight(self, count):
        fits = accounting.epsilon([*self.charged, *[event(5.0)] * count], delta=1e-5, view="coalition") <= 4.0
        with contextlib.nullcontext() if fits else pytest.raises(BudgetExceeded):
            self.open[0].preflight([event(5.0)] * count)

    @rule()
    def back_up(self):
        if self.backup is not None:
            self.backup[0].cleanup()
        target = tempfile.TemporaryDirectory()
        there = Path(target.name) / "copy"
        with (
            contextlib.closing(sqlite3.connect(self.path)) as source,
            contextlib.closing(sqlite3.connect(there)) as copy,
        ):
            source.backup(copy)
        self.backup = target, len(self.charged)

    @precondition(lambda self: self.backup is not None and self.backup[1] < len(self.charged))
    @rule()
    def roll_back_and_be_caught(self):
        for ledger in self.open:
            ledger.close()
        kept = {file: file.read_bytes() for file in self.path.parent.iterdir()}
        for file in kept:
            file.unlink()
        self.path.write_bytes((Path(self.backup[0].name) / "copy").read_bytes())
        with pytest.raises(LedgerError, match="rolled back"):
            opened(self.path, mirror=self.mirror)
        for file in self.path.parent.iterdir():
            file.unlink()
        for file, content in kept.items():
            file.write_bytes(content)
        self.open = [opened(self.path, mirror=self.mirror)]

    @invariant()
    def the_book_is_what_was_charged(self):
        for ledger in self.open:
            book = ledger.read()
            assert book.events == self.charged
            assert book.budget.spent(book.events) <= 4.0

    def teardown(self):
        for ledger in getattr(self, "open", []):
            ledger.close()
        self.folder.cleanup()
        if self.backup is not None:
            self.backup[0].cleanup()


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
