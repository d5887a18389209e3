"""Deadlines follow what was measured; exchanges account for everybody who was asked."""

import pytest

from securefed.errors import ConfigError
from securefed.federation.deadlines import ROOM, Deadlines
from securefed.federation.transport import Dropout, Exchange, Reason


def took(seconds, **dropped):
    return Exchange.of({"a": b"12", "b": b"345"}, {"a": b"6"}, {"b": Dropout(Reason.GONE)} | dropped, seconds=seconds)


def test_everybody_who_was_asked_has_answered_or_dropped_out_with_a_reason():
    found = Exchange.of(dict.fromkeys("abc", b"12"), {"c": b"345", "a": b""}, {"a": Dropout(Reason.GONE)}, seconds=1.0)
    assert list(found.replies) == ["a", "c"]
    assert found.dropped == {"b": Dropout(Reason.SILENT)}
    assert (found.sent, found.received) == (6, 3)


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
