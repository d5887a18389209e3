"""What colluders and the server see together is the honest clients' sum and otherwise uniform noise.

The server knows every survivor's self mask (that is how the sum comes out), colluders know the masks that they share.
Both are taken off by an independent reference in Python's integers. What is left of the honest masked vectors must be
jointly uniform among all that have the honest sum: in a ring of two bits the joint distribution can be counted whole.
"""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from securefed.aggregation.audit.rig import Rig
from securefed.aggregation.derivations import self_mask_key
from securefed.aggregation.parameters import Context, Parameters
from securefed.rng import seeded
from tests.aggregation.reference import agreed, hkdf, label, mask

BITS, DIM, RING = 2, 20_000, 4


def finished(clients: int, colluders: int):
    """A run, and what is left of the honest masked vectors after everything known is taken off."""
    names = tuple(f"client-{place}" for place in range(clients))
    context = Context(task="uniform", round=0, model=bytes(32), plan=bytes(32))
    parameters = Parameters(bits=BITS, dim=DIM, cohort=names, threshold=2 * clients // 3 + 1, context=context)
    vectors = {name: seeded(9, name).uint64(DIM) % RING for name in names}
    rig = Rig(parameters=parameters, vectors=vectors)
    rig.run_until("share")
    secrets = {place: rig.mind(name).secrets for place, name in enumerate(names)}
    adverts = {place: rig.mind(name).advert for place, name in enumerate(names)}
    assert rig.run().exact
    left = {}
    for place in range(colluders, clients):
        name = names[place]
        packed = rig.answer_payload("mask", name, rig.wire["mask", name, "answer"])
        number = int.from_bytes(packed[packed.index(b"\x59") + 3 :], "little")
        values = [number >> BITS * at & RING - 1 for at in range(DIM)]
        own = mask(self_mask_key(rig.session, place, secrets[place].self_masks[0]), DIM, width=1)
        values = [value - known for value, known in zip(values, own, strict=True)]
        for traitor in range(colluders):
            info = label("pairwise mask", rig.session.context, traitor, place)
            shared = mask(hkdf(agreed(secrets[traitor].mask_keys[0], adverts[place].mask_keys[0]), info), DIM, width=1)
            values = [value + known for value, known in zip(values, shared, strict=True)]
        left[place] = [value % RING for value in values]
    return rig, left


@pytest.mark.parametrize(("clients", "colluders"), [(4, 1), (3, 0), (5, 2)])
def test_honest_vectors_are_uniform_given_their_sum(clients, colluders):
    rig, left = finished(clients, colluders)
    honest = range(colluders, clients)
    sums = [sum(column) % RING for column in zip(*(left[place] for place in honest), strict=True)]
    true = [sum(column) % RING for column in zip(*(rig.vectors[f"client-{p}"].tolist() for p in honest), strict=True)]
    assert sums == true
    for given in range(RING):
        columns = [at for at in range(DIM) if true[at] == given]
        for one, other in itertools.combinations(honest, 2):
            counts = Counter((left[one][at], left[other][at]) for at in columns)
            expected = len(columns) / RING**2
            statistic = sum(
                (counts[cell] - expected) ** 2 / expected for cell in itertools.product(range(RING), repeat=2)
            )
            # 15 degrees of freedom: beyond 60 less than once in four million.
            assert statistic < 60


def test_the_count_would_notice_a_missing_mask():
    """Control: one colluder more than the threshold allows leaves a single honest client, and nothing is hidden."""
    rig, left = finished(3, 2)

    assert left[2] == rig.vectors["client-2"].tolist()
