"""A view shows what its adversary sees, and nothing else."""

from __future__ import annotations

import pytest

from securefed.threat_models import cohorts
from securefed.threat_models.adversaries import ADVERSARIES, COLLUDERS, CURIOUS_SERVER, NETWORK, OUTSIDER, Sight
from securefed.threat_models.game import Arm
from securefed.threat_models.views import View, ViewViolation


@pytest.fixture(scope="module")
def recording():
    plan = cohorts.plan_of(Arm(defences="masks", claim="none", secure="mask"), clients=3, records=3, rounds=2)
    places = cohorts.deal(cohorts.seeded(0), clients=plan.cohort, each=1)
    return cohorts.play(plan, cohorts.shards(places), rng=cohorts.seeded_sources(0))


@pytest.mark.parametrize("adversary", ADVERSARIES, ids=lambda adversary: adversary.id)
@pytest.mark.parametrize("sight", Sight, ids=lambda sight: sight.value)
def test_a_field_can_be_read_exactly_if_the_adversary_sees_it(recording, adversary, sight):
    view = View(recording, adversary)

    if sight in adversary.sees:
        getattr(view, sight.value)
    else:
        with pytest.raises(ViewViolation, match=f"does not see '{sight.value}'"):
            getattr(view, sight.value)


def test_a_view_has_no_other_fields():
    fields = {name for name in dir(View) if not name.startswith("_")}

    assert fields == {sight.value for sight in Sight}


def test_of_records_an_adversary_sees_those_of_its_own_clients(recording):
    assert set(View(recording, COLLUDERS, frozenset({"client-1"})).records) == {"client-1"}
    assert not View(recording, COLLUDERS).records


def test_the_network_sees_sizes_and_no_bytes(recording):
    sizes = View(recording, NETWORK).sizes

    assert [size.count for size in sizes] == [len(message.content) for message in recording.messages]
    assert not any(isinstance(getattr(size, name), bytes) for size in sizes for name in size.__slots__)


def test_messages_are_those_of_the_production_path(recording):
    phases = ("advertise", "share", "mask", "agree", "reveal")
    expected = [(number, phase) for number in (1, 2) for phase in phases]

    assert list(dict.fromkeys((m.number, m.phase) for m in recording.messages)) == expected
    assert len(recording.messages) == 2 * 5 * 3 * 2


def test_an_outsider_sees_the_released_adapter_and_no_other(recording):
    view = View(recording, OUTSIDER)

    assert (view.released.vector() == recording.adapters[-1].vector()).all()


def test_the_recorded_sum_is_that_of_the_contributions():
    plan = cohorts.plan_of(Arm(defences="none", claim="control"), clients=3, records=3, rounds=2)
    places = cohorts.deal(cohorts.seeded(0), clients=plan.cohort, each=1)
    view = View(cohorts.play(plan, cohorts.shards(places), rng=cohorts.seeded_sources(0)), CURIOUS_SERVER)

    for number in (1, 2):
        added = sum(cohorts.what_was_sent(view, name, number) for name in plan.cohort)
        assert abs(added - view.sums[number - 1]).max() < 1e-12
