"""What a client has done once it does not do again, in this process or the next."""

from __future__ import annotations

from unittest import mock

import pytest

from securefed.aggregation.journal import Journal, open_journals
from securefed.aggregation.refusals import Replay
from securefed.errors import ConfigError
from tests.aggregation.cohorts import context


def reopened(path, journal):
    journal.close()
    return Journal(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def model(number: int) -> bytes:
    return bytes([number]) * 32


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("round_", "attempt"), [(3, 1), (3, 0), (2, 7)])
def test_rounds_and_attempts_only_go_up(path, restart, round_, attempt):
    journal = Journal(path)
    journal.begin(context(round=3, attempt=1))
    journal = reopened(path, journal) if restart else journal

    with pytest.raises(Replay, match="not after round 3"):
        journal.begin(context(round=round_, attempt=attempt))
    journal.begin(context(round=3, attempt=2))
    journal.begin(context(task="another", round=0))


@pytest.mark.parametrize("restart", [False, True])
def test_a_model_is_contributed_to_once(path, restart):
    journal = Journal(path)
    journal.begin(context(model=model(1)))
    journal.contribute(context(model=model(1)))
    journal = reopened(path, journal) if restart else journal

    with pytest.raises(Replay, match="model"):
        journal.begin(context(round=1, model=model(1)))
    with pytest.raises(Replay, match="model"):
        journal.contribute(context(round=1, model=model(1)))
    journal.begin(context(round=1, model=model(2)))


@pytest.mark.parametrize("restart", [False, True])
def test_who_takes_part_has_begun_the_round_and_contributed_to_its_model(path, restart):
    journal = Journal(path)
    journal.take_part(context(round=3, model=model(1)))
    journal = reopened(path, journal) if restart else journal

    for again, why in (
        (context(round=3, model=model(2)), "not after round 3"),
        (context(round=4, model=model(1)), "model"),
    ):
        for note in (journal.take_part, journal.begin):
            with pytest.raises(Replay, match=why):
                note(again)
    journal.take_part(context(round=3, attempt=1, model=model(2)))


@pytest.mark.parametrize("restart", [False, True])
def test_taking_part_is_noted_whole_or_not_at_all(path, restart):
    journal = Journal(path)
    journal.contribute(context(round=2, model=model(1)))
    with mock.patch.object(Journal, "has_contributed", return_value=False), pytest.raises(Replay, match="model"):
        journal.take_part(context(round=3, model=model(1)))
    journal = reopened(path, journal) if restart else journal

    journal.begin(context(round=3, model=model(2)))


@pytest.mark.parametrize("restart", [False, True])
def test_shares_are_revealed_once_in_a_context(path, restart):
    journal = Journal(path)
    journal.reveal(b"a" * 32)
    journal = reopened(path, journal) if restart else journal

    with pytest.raises(Replay, match="revealed"):
        journal.reveal(b"a" * 32)
    journal.reveal(b"b" * 32)


def test_one_process_at_a_time_writes_a_private_file(path):
    journal = Journal(path)
    journal.begin(context())

    with pytest.raises(ConfigError, match="another process"):
        Journal(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_journals_of_one_process_are_closed_whatever_happens(tmp_path):
    folder = tmp_path / "journals"
    with open_journals(folder, ["ann", "bob"]) as journals:
        journals["ann"].begin(context())
        with pytest.raises(ConfigError, match="another process"), open_journals(folder, ["cyd", "ann"]):
            pass
        Journal(folder / "cyd.sqlite").close()

    assert folder.stat().st_mode & 0o777 == 0o700
    with open_journals(folder, ["ann", "bob"]) as journals:
        journals["bob"].begin(context())
        with pytest.raises(Replay):
            journals["ann"].begin(context())


def test_a_file_that_is_no_journal_is_refused(path):
    path.write_bytes(b"not a database" * 100)

    with pytest.raises(ConfigError, match="cannot be used"):
        Journal(path)
