"""Vectors are encrypted, added and decrypted a few ciphertexts at a time."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

from tests.aggregation.cohorts import parameters
from tests.aggregation.homomorphic.parties import Parties


def peak(work: Callable[[], object]) -> int:
    """Bytes that work allocates at once, beyond what was there; what SEAL itself holds is one ciphertext."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_a_few_times_one_vectors_bytes_on_the_wire_whatever_the_number_of_clients():
    parties = Parties(parameters(6, dim=400_000, bits=16))
    releasing = parties.releasing()
    wire = parties.session.encryption.size(parties.session.dim)
    answers = [parties.answer(place) for place in range(5)]

    def add() -> None:
        for place, answer in enumerate(answers):
            releasing.add(releasing.read(place, answer))

    assert peak(lambda: answers.append(parties.answer(5))) < 5 * wire
    assert peak(add) < 4 * wire
    assert peak(releasing.close) < 5 * wire
