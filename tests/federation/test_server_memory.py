"""The server's memory does not grow with the cohort: requests are made, and answers go to disk, one by one."""

import tracemalloc

import numpy as np
import pytest

from securefed.errors import ConfigError
from securefed.federation.embedded import EmbeddedTransport
from securefed.federation.memory import Memory
from securefed.federation.opening import Opening
from tests import toys

DIM = 100_000
ONE = 8 * DIM
"""Bytes of the adapter, and of the answers here."""


class Answering:
    """A client whose answers are long."""

    def __init__(self, name):
        self.name = name

    def answer(self, request):
        assert Opening.of(request).frame == self.name.encode()
        return self.name.encode().ljust(ONE, b".")


def phase(parties, count):
    """Carry a phase of long requests and long answers."""
    names = [f"client-{place:02d}" for place in range(count)]
    opening = Opening(1, 0, 1, 0, "run", bytes(32), bytes(32), {"keys": np.zeros(DIM)}, b"")
    with parties.server(EmbeddedTransport({name: Answering(name) for name in names})) as server:
        requests = opening.with_each({name: name.encode() for name in names})
        for name, answer in server.answers(1, "mask", 0, requests).items():
            assert answer.startswith(name.encode() + b".")


def peak(parties, count):
    """Most bytes that were allocated at once in such a phase."""
    tracemalloc.start()
    try:
        phase(parties, count)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_the_server_holds_in_the_phase_of_the_vectors_does_not_grow_with_the_number_of_clients(federate):
    few, many = (peak(federate(toys.plan(), f"with {count}"), count) for count in (4, 16))

    assert few < 8 * ONE
    assert many < few + ONE / 2


def test_answers_of_a_phase_that_is_not_over_were_never_there(tmp_path):
    place = {"digest": bytes(32), "task": "run"}
    with Memory(tmp_path / "memory", **place) as memory, pytest.raises(ConfigError), memory.phase(2) as keep:
        keep("client-1", b"early")
        raise ConfigError("the server ends here")
    with Memory(tmp_path / "memory", **place) as memory:
        assert memory.answers(2) is None
        with memory.phase(2) as keep:
            keep("client-2", b"two")
            keep("client-1", b"one")
        assert list(memory.answers(2).items()) == [("client-1", b"one"), ("client-2", b"two")]
        assert memory.answers(2).get("client-3") is None


def test_a_phase_that_nobody_answered_is_over_too(tmp_path):
    with Memory(tmp_path / "memory", digest=bytes(32), task="run") as memory:
        with memory.phase(0):
            pass
        assert dict(memory.answers(0)) == {}


def test_an_answer_that_is_forgotten_is_in_no_file_even_while_the_server_goes_on(tmp_path):
    def where():
        return [path.name for path in tmp_path.iterdir() if b"masked vector" in path.read_bytes()]

    with Memory(tmp_path / "memory", digest=bytes(32), task="run") as memory:
        with memory.phase(2) as keep:
            keep("client-1", 10_000 * b"masked vector")
        assert where() == ["memory"]
        memory.give_up(1)
        assert where() == []
