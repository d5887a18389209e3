"""A round in groups: what it equals, what it bears, and what it refuses before anything is charged."""

from __future__ import annotations

import numpy as np
import pytest

from securefed import grouped
from securefed.aggregation.policy import Policy
from securefed.aggregation.refusals import PolicyViolation
from securefed.errors import ConfigError, ProtocolError
from securefed.grouped import Robustness, grouped_round, moved_by, part
from securefed.rng import seeded
from securefed.rounds import Client, Owners, ServerState, contribution, run_round
from securefed.threat_models import cohorts
from securefed.threat_models.game import Arm

NINE = Robustness(size=3, faulty=1)


def plan_of(setting="none", secure="plain", clients=9):
    return cohorts.plan_of(Arm(defences="", claim="none", setting=setting, secure=secure), clients=clients, records=45)


def clients_of(plan):
    places = cohorts.deal(seeded(0, "grouped"), clients=plan.cohort, each=5)
    return [Client(name, *own, cohorts.UNMETERED) for name, own in cohorts.shards(places).items()]


def start():
    return ServerState.initial(cohorts.world().adapter)


def played(plan, wanted=NINE, **more):
    source = cohorts.seeded_sources(1)
    return grouped_round(plan, start(), clients_of(plan), wanted, run="game", number=1, rng=source, **more)


def test_the_mean_of_groups_that_are_as_large_is_the_round_of_the_whole_cohort():
    plan = plan_of()
    whole = run_round(plan, start(), clients_of(plan), run="game", number=1, rng=cohorts.seeded_sources(1))
    done = played(plan, Robustness(size=3, faulty=0, rule="mean"))

    assert np.allclose(done.state.adapter.vector(), whole.state.adapter.vector(), rtol=0, atol=1e-9)
    assert (done.dropped, done.lost, done.looseness, done.groups.hiding) == ((), (), 1.0, 3)


def test_masked_groups_say_what_plain_groups_say():
    plain, masked = (played(plan_of(secure=secure)) for secure in ("plain", "mask"))

    assert [len(members) for members in masked.groups.members] == [3, 3, 3]
    assert plain.groups != masked.groups  # the plan is in what the coin is for
    same = played(plan_of(secure="mask"), Robustness(size=9, faulty=0))
    whole = played(plan_of(), Robustness(size=9, faulty=0))
    assert (same.state.adapter.vector() == whole.state.adapter.vector()).all()


def test_own_noise_loosens_the_gate_and_drops_nobody_honest():
    done = played(plan_of("per-client", "mask"))

    assert done.looseness > 1.5
    assert done.dropped == ()


def poisoned_round(plan, names, wanted=NINE):
    state, source = start(), cohorts.seeded_sources(1)
    vectors = {
        each.name: contribution(plan, state.adapter, each, run="game", number=1, rng=source("noise", 1, each.name))
        for each in clients_of(plan)
    }
    vectors |= {name: plan.encoding.encode(np.full(plan.dim, 1e6)) for name in names}
    parted = part(plan, state, wanted, run="game", number=1, rng=source)
    return moved_by(plan, state, parted, vectors, rng=lambda name: source("keys", 1, name))


def test_a_group_beyond_the_gate_is_dropped_and_named():
    done = poisoned_round(plan_of(secure="mask"), ["client-4"])

    (at,) = done.dropped
    assert "client-4" in done.groups.members[at]


def test_more_bad_groups_than_were_to_be_borne_lose_the_round():
    with pytest.raises(ProtocolError, match="3 groups are beyond the gate, 1 were to be borne"):
        poisoned_round(plan_of(), plan_of().cohort)


@pytest.mark.parametrize(("setting", "secure"), [("distributed", "mask"), ("client-level", "mask"), ("none", "ckks")])
def test_noise_that_only_the_cohort_adds_up_and_sums_that_groups_cannot_have_are_refused(setting, secure, monkeypatch):
    monkeypatch.setattr(grouped, "contribution", None)  # nothing is asked of a client
    with pytest.raises(ConfigError, match="Use"):
        played(plan_of(setting, secure))


def test_too_few_groups_are_refused_before_anything_is_charged(monkeypatch):
    monkeypatch.setattr(grouped, "contribution", None)
    with pytest.raises(ConfigError, match="it takes 5 groups"):
        played(plan_of(), Robustness(size=3, faulty=2))


def test_groups_below_a_clients_floor_are_refused_before_anything_is_charged(monkeypatch):
    monkeypatch.setattr(grouped, "contribution", None)
    with pytest.raises(PolicyViolation):
        played(plan_of(secure="mask"), owners=Owners(policy=Policy(minimum_cohort=5)))
