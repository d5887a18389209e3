"""A vector that is made when it is due: not before, not twice, and not for a sum that fails before."""

from __future__ import annotations

import numpy as np
import pytest

from securefed.aggregation.base import secure_sum
from securefed.aggregation.identity import Federation
from securefed.aggregation.journal import Journal
from securefed.aggregation.masked_client import MaskedClient
from securefed.aggregation.masked_server import MaskedServer
from securefed.aggregation.refusals import Replay
from securefed.aggregation.session import Session
from securefed.errors import CapacityError, ThresholdError
from securefed.rng import secure
from tests.aggregation.cohorts import added, parameters, vectors


class Late:
    """A cohort whose vectors are made when they are asked for."""

    def __init__(self, **journals):
        self.public = parameters()
        self.members = Federation.throwaway(self.public.cohort, rng=secure())
        self.session, self.inputs, self.made = Session(self.public, self.members.roster), vectors(self.public), []
        self.journals = journals

    def client(self, name):
        def make():
            self.made.append(name)
            return self.inputs[name]

        identity, journal = self.members.clients[name], self.journals.get(name.replace("-", "_"))
        return MaskedClient(self.session, identity, make, rng=secure(), journal=journal)

    def total(self, lost=lambda *_: False):
        roles = {name: self.client(name) for name in self.public.cohort}
        return secure_sum(MaskedServer(self.session, self.members.server), roles, lost=lost)


def test_late_vectors_give_the_same_sum_and_are_made_once():
    late = Late()

    assert np.array_equal(late.total(), added(late.public, late.inputs, late.public.cohort))
    assert sorted(late.made) == list(late.public.cohort)


@pytest.mark.parametrize("phase", ["advertise", "share"])
def test_nothing_is_made_for_a_sum_that_fails_before_vectors_are_due(phase):
    late = Late()
    with pytest.raises(ThresholdError):
        late.total(lost=lambda at, name: at == phase and name != late.public.cohort[0])
    assert not late.made


def test_nothing_is_made_for_a_model_that_was_contributed_to(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    late = Late(client_000=journal)

    def remember(phase, _):
        # Between the client's PLAN and its INBOX another sum of the same model gets ahead.
        if phase == "share" and not late.made:
            late.made.append("remembered")
            journal.contribute(late.public.context)
        return False

    with pytest.raises(Replay):
        late.total(lost=remember)
    assert late.made == ["remembered"]


def test_a_late_vector_that_does_not_fit_is_refused_before_it_is_sent():
    late = Late()
    late.inputs["client-000"] = late.inputs["client-000"] | np.uint64(2**63)
    with pytest.raises(CapacityError, match="client-000"):
        late.total()
