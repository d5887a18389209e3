"""A server makes a request when it is looked up, and keeps none."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from securefed.aggregation.audit.rig import Rig, dealt_for, following
from securefed.aggregation.masked_server import MaskedServer
from securefed.aggregation.requests import Requests
from securefed.aggregation.session import Session
from tests.aggregation.cohorts import PHASES


def steady(phase: str) -> Rig:
    """The second round of a deal at one of its phases; a client has lost its inbox."""
    first = dealt_for(2)
    first.run(answer=lambda phase, name, data: None if (phase, name) == ("mask", "client-4") else data)
    rig = following(first)
    rig.run_until(phase)
    return rig


RIGS = {phase: lambda phase=phase: at(Rig(), phase) for phase in PHASES} | {
    f"{phase} in a later round": lambda phase=phase: steady(phase) for phase in ("mask", "agree")
}


def at(rig: Rig, phase: str) -> Rig:
    """A sum at one of its phases."""
    rig.run_until(phase)
    return rig


@contextmanager
def signing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The receivers of the frames that are signed meanwhile."""
    stream, receivers = Session.stream, []

    def noting(self, *args, receiver, **others):
        receivers.append(receiver)
        return stream(self, *args, receiver=receiver, **others)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "stream", noting)
        yield receivers


@pytest.mark.parametrize("name", RIGS)
def test_a_request_is_made_when_it_is_looked_up_and_no_other_with_it(name, monkeypatch):
    rig = RIGS[name]()
    with signing(monkeypatch) as receivers:
        requests = rig.server.requests()
        assert (len(requests), *requests, "nobody" in requests) == (5, *rig.parameters.cohort, False)
        assert receivers == []
        assert requests["client-2"]
        assert set(receivers) == {2}


@pytest.mark.parametrize("name", RIGS)
def test_a_request_that_is_looked_up_twice_is_the_same(name):
    server = RIGS[name]().server
    requests = server.requests()

    assert dict(requests) == dict(requests) == dict(server.requests())
    assert len(set(requests.values())) == len(requests)


def test_who_is_not_asked_has_no_request():
    requests = Rig().server.requests()

    assert requests.get("client-9") is None
    with pytest.raises(KeyError):
        requests["client-9"]


def test_a_request_is_made_of_others_without_looking_at_them():
    frames = Requests(("one", "two"), str.encode)
    longer = Requests(frames, lambda name: frames[name] + b"!")

    assert dict(longer) == {"one": b"one!", "two": b"two!"}
    with pytest.raises(KeyError):
        longer["three"]


def test_no_request_is_in_memory_after_the_next_was_looked_up():
    clients = 40
    server: MaskedServer = at(Rig(clients), "mask").server
    tracemalloc.start()
    try:
        longest = max(map(len, server.requests().values()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 8 * longest < clients * longest / 4
