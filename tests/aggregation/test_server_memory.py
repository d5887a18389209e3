"""The server holds the sum, one masked vector at a time, and every sealed share once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping

import numpy as np

from securefed.aggregation.audit.rig import dealt_for
from securefed.aggregation.base import ClientRole
from securefed.aggregation.identity import Federation
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.messages import Sealed
from securefed.rng import seeded
from tests.aggregation.cohorts import parameters

DIM = 200_000
ONE = 4 * DIM
"""Bytes of one vector of 32-bit words."""


class Arriving(Mapping[str, bytes]):
    """Answers of which each is made when it is asked for, and kept by nobody."""

    def __init__(self, clients: Mapping[str, ClientRole], requests: Mapping[str, bytes]) -> None:
        self._clients, self._requests = clients, requests

    def __getitem__(self, name: str) -> bytes:
        return self._clients[name].answer(self._requests[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._requests)

    def __len__(self) -> int:
        return len(self._requests)


def peak_of_a_sum(count: int) -> int:
    """Most bytes that were allocated at once while the masked vectors of so many clients were collected."""
    scheme = MaskedSum(
        parameters(count, dim=DIM, bits=32), Federation.throwaway(parameters(count).cohort, rng=seeded(0))
    )
    vector, server = np.arange(DIM, dtype=np.uint64), scheme.server()
    clients = {name: scheme.client(name, vector, rng=seeded(0, name)) for name in scheme.parameters.cohort}
    peak = 0
    while requests := server.requests():
        arriving = Arriving(clients, requests)
        if server.phase == "mask":
            tracemalloc.start()
            server.collect(arriving)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        else:
            server.collect(arriving)
    expected = count * vector & scheme.parameters.modulus_mask
    assert (server.total() == expected).all()
    return peak


def test_the_servers_memory_does_not_grow_with_the_number_of_clients():
    few, many = peak_of_a_sum(4), peak_of_a_sum(16)

    assert few < 6 * ONE
    assert many < few + ONE / 2


def test_the_server_holds_every_sealed_share_once():
    rig = dealt_for(8, clients := 30)
    requests = rig.run_until("share")
    answers = {name: rig.clients[name].answer(request) for name, request in requests.items()}
    sealed = clients * clients * Sealed.size(8)
    tracemalloc.start()
    try:
        rig.server.collect(answers)
        longest = max(map(len, rig.server.requests().values()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert sealed < peak < 1.1 * sealed + 6 * longest < 1.5 * sealed
