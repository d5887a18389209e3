"""A message with ten million numbers: cut into chunks by Flower, whole at the other end, never held many times over."""

import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

from securefed.federation.flower.records import unwrap, wrap

NUMBERS = 10**7
CHUNK = 5 * 2**20
FRAME = 4096


@pytest.fixture(scope="module")
def message():
    return np.random.default_rng(1).bytes(8 * NUMBERS)


@contextmanager
def held(message, *, most):
    """At no moment more than so many times the message is allocated beside it."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] <= most * len(message)
    finally:
        tracemalloc.stop()


def test_ten_million_numbers_travel_in_chunks_and_arrive_whole(message):
    record = wrap(message)
    sent = {each: content.deflate() for each, content in get_all_nested_objects(record).items()}

    assert len(sent) > len(message) // CHUNK
    assert max(map(len, sent.values())) <= CHUNK + FRAME
    assert unwrap(inflate_object_from_contents(record.object_id, sent)) == message


def test_packing_and_unpacking_hold_a_message_twice_at_most(message):
    with held(message, most=2.1):
        record = wrap(message)
    with held(message, most=2.1):
        unwrap(record)
