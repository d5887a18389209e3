"""What comes for each client lies in one array, in the order in which it came."""

from __future__ import annotations

import tracemalloc
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefed.aggregation.audit.rig import Rig
from securefed.aggregation.messages import Sealed
from securefed.aggregation.records import Records
from securefed.aggregation.wire import decode, encode
from securefed.rng import seeded

CLIENTS = 6
SEALED = Sealed.size(1)
places = st.lists(st.integers(0, CLIENTS - 1), min_size=1, unique=True)


@settings(max_examples=100, deadline=None)
@given(added=st.lists(places, max_size=8), most=st.integers(1, 4), size=st.integers(1, 40))
def test_the_first_records_of_every_client_are_kept_in_their_order(added, most, size):
    records, came = Records(CLIENTS, most, size), defaultdict(list)
    for turn, clients in enumerate(added):
        each = [seeded(turn, str(place)).bytes(size) for place in clients]
        records.add(clients, b"".join(each))
        for place, record in zip(clients, each, strict=True):
            came[place].append(record)

    for place in range(CLIENTS):
        assert records.of(place) == b"".join(came[place][:most])


def test_a_record_takes_little_more_memory_than_its_bytes():
    clients, most, size = 300, 60, 32
    tracemalloc.start()
    try:
        records = Records(clients, most, size)
        for turn in range(2 * most):
            records.add(range(clients), bytes([turn]) * size * clients)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert records.of(clients - 1) == b"".join(bytes([turn]) * size for turn in range(most))
    assert held < 1.1 * clients * most * size


@pytest.mark.parametrize("change", [lambda sent: sent[SEALED:], lambda sent: sent + b"\0", lambda sent: b""])
def test_of_an_owner_whose_records_do_not_fit_nobody_is_handed_any(change):
    rig, owner = Rig(), "client-1"

    def bend(phase, name, data):
        if (phase, name) != ("share", owner):
            return data
        _, (sent,) = decode(rig.answer_payload(phase, name, data), numbers=0, strings=1)
        return rig.forge_answer(phase, name, encode([], [change(sent)]))

    outcome = rig.run(answer=bend)

    assert outcome.exact
    assert outcome.survivors == tuple(sorted(set(rig.clients) - {owner}))
    assert list(outcome.refusals) == [owner]
    assert rig.server.dealt
    assert {len(rig.server.dealt.inboxes.of(place)) for place in range(5)} == {4 * SEALED}
