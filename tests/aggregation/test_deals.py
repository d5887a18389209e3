"""Rounds that share a deal: two phases each, and the same sums, bit for bit, as plain ones."""

import pytest

from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.parameters import Context, Deal
from securefed.aggregation.table import Table
from securefed.errors import ConfigError
from tests.aggregation.cohorts import Run, added, context, parameters, vectors


def rounds(lost, *, count=3, serves=3, clients=7):
    """Yield every round's run and total; ``lost`` holds round, phase and client."""
    table, members = Table(), None
    for number in range(count):
        deal = table.deal or Deal(number, 0, serves)
        public = parameters(clients, context=context(round=number, model=bytes([number]) * 32, dealt=deal))
        scheme = MaskedSum(public, members, table=table)
        members = scheme._federation
        gone = frozenset((phase, name) for at, phase, name in lost if at == number)
        run = Run(scheme, vectors(public, number), gone)
        yield run, run.total()
        table.keep(run.server)


def phases(run):
    return tuple(dict.fromkeys(phase for phase, *_ in run.messages))


def test_later_rounds_of_a_deal_take_two_phases_and_the_next_deal_begins_when_it_has_served():
    found = [phases(run) for run, _ in rounds((), count=4)]

    assert found == [("advertise", "share", "mask", "agree"), *[("mask", "agree")] * 2, found[0]]


@pytest.mark.parametrize("phase", ["mask", "agree"])
def test_sums_are_exact_when_clients_leave_later_rounds_and_come_back(phase):
    lost = {(0, "mask", "client-001"), (1, phase, "client-002"), (2, phase, "client-006")}
    for number, (run, total) in enumerate(rounds(lost)):
        away = {name for at, where, name in lost if at == number and where == "mask"}
        assert set(run.server.survivors) == set(run.scheme.parameters.cohort) - away
        assert (total == added(run.scheme.parameters, run.inputs, run.server.survivors)).all()


def test_who_misses_a_deal_is_out_until_the_next():
    found = [run.server.survivors for run, _ in rounds({(0, "share", "client-003")}, count=4)]

    assert [len(survivors) for survivors in found] == [6, 6, 6, 7]


def test_keys_are_dealt_anew_when_a_round_had_nobody_to_spare():
    lost = {(0, "agree", name) for name in ("client-000", "client-001")}

    assert [len(phases(run)) for run, _ in rounds(lost, count=2)] == [4, 4]


def test_a_deal_serves_its_rounds_and_no_other():
    for number, deal in ((0, Deal(1, 0, 3)), (4, Deal(1, 0, 3))):
        with pytest.raises(ConfigError, match="none of those"):
            Context(task="t", round=number, model=bytes(32), plan=bytes(32), dealt=deal)
    for serves in (0, 65):
        with pytest.raises(ConfigError, match="serves 1 to 64"):
            Deal(1, 0, serves)


def test_a_later_round_without_what_was_dealt_is_refused():
    public = parameters(5, context=context(round=2, dealt=Deal(1, 0, 3)))
    with pytest.raises(ConfigError, match="deal them anew"):
        MaskedSum(public).server()
