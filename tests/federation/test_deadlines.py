"""Deadlines follow what was measured; exchanges account for everybody who was asked."""

import pytest

from securefed.errors import ConfigError
from securefed.federation.deadlines import ROOM, Deadlines
from securefed.federation.transport import Dropout, Exchange, Reason, Tally


def took(seconds, **dropped):
    return Exchange({}, {}, {"b": Dropout(Reason.GONE)} | dropped, seconds)


def test_everybody_who_was_asked_has_answered_or_dropped_out_with_a_reason():
    kept = []
    tally = Tally(lambda *answer: kept.append(answer))
    for name in "cab":
        assert tally.sent(name, b"12") == b"12"
    for name, outcome in {"c": b"345", "d": Dropout(Reason.GONE), "a": b""}.items():
        tally.came(name, outcome)
    found = tally.exchange("bdac")

    assert kept == [("c", b"345"), ("a", b"")]
    assert list(found.replies) == ["a", "c"]
    assert found.dropped == {"b": Dropout(Reason.SILENT), "d": Dropout(Reason.GONE)}
    assert (found.sent, found.received) == (6, 3)


def test_whatever_comes_after_a_clients_answer_is_not_kept():
    kept = {}
    tally = Tally(kept.__setitem__)
    for outcome in (b"first", b"second", Dropout(Reason.FAILED)):
        tally.came("a", outcome)
    assert kept == {"a": b"first"}
    assert not tally.exchange("a").dropped


def test_a_phase_gets_room_beyond_the_longest_it_ever_took():
    deadlines = Deadlines(longest=100, shortest=2)
    assert deadlines.of("mask") == 100
    for seconds, then in ((10, 10), (4, 10), (12, 12)):
        deadlines.learn("mask", took(seconds))
        assert deadlines.of("mask") == ROOM * then
    assert deadlines.of("share") == 100


def test_a_phase_that_ran_into_its_deadline_is_given_more_up_to_the_longest():
    deadlines = Deadlines(longest=100, shortest=2)
    deadlines.learn("mask", took(5))
    for then in (45, 100, 100):
        deadlines.learn("mask", took(15, b=Dropout(Reason.SILENT)))
        assert deadlines.of("mask") == then


def test_deadlines_stay_within_their_bounds():
    deadlines = Deadlines(longest=100, shortest=2)
    deadlines.learn("mask", took(0.001))
    assert deadlines.of("mask") == 2
    for shortest in (0, 101):
        with pytest.raises(ConfigError, match="deadlines lie between"):
            Deadlines(longest=100, shortest=shortest)
