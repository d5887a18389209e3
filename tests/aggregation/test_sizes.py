"""The sizes that are told beforehand are those of the frames."""

from __future__ import annotations

import pytest

from securefed.aggregation import sizes
from securefed.aggregation.homomorphic import HomomorphicSum
from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.plain import PlainSum
from tests.aggregation.cohorts import Run, parameters, vectors


def sent(scheme) -> set[int]:
    """The bytes that each client of a whole sum sends."""
    run = Run(scheme, vectors(scheme.parameters))
    run.total()
    totals = dict.fromkeys(scheme.parameters.cohort, 0)
    for _, client, direction, message in run.messages:
        totals[client] += len(message) if direction == "answer" else 0
    return set(totals.values())


@pytest.mark.parametrize(("clients", "dim", "bits"), [(3, 10, 32), (5, 9_000, 20), (40, 7, 64)])
def test_every_client_sends_as_many_bytes_as_was_told(clients, dim, bits):
    public = parameters(clients, dim=dim, bits=bits)
    masked = sizes.masked(clients=clients, threshold=public.threshold, dim=dim, bits=bits)
    assert sent(PlainSum(public)) == {sizes.plain(dim=dim, bits=bits)}
    assert sent(MaskedSum(public)) == {masked}
    for scheme in ("ckks", "bfv"):
        encrypted = HomomorphicSum(public, scheme=scheme)
        assert sent(encrypted) == {sizes.encrypted(encrypted.encryption, dim=dim)}
