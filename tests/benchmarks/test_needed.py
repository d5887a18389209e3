"""The floor of a whole run makes the calls that the run makes, and no others."""

from benchmarks import needed
from securefed import runs


def test_the_calls_of_a_run_are_counted(small_plan, tmp_path):
    calls = needed.calls_of(lambda: runs.execute(small_plan, tmp_path / "run"))

    parts = small_plan.clients * small_plan.rounds
    # A charge, begun and contributed, revealed; the round with the deal begins by itself.
    assert calls["commits"] == 3 * parts + small_plan.clients
    boxes, masks = small_plan.clients**2, small_plan.clients * (small_plan.clients - 1) * small_plan.rounds
    assert calls["agreements"] >= boxes + masks
    assert calls["signatures"] >= calls["verifications"] > 5 * parts


def test_the_floor_makes_exactly_those_calls(small_plan):
    calls = {"signatures": 11, "verifications": 13, "agreements": 17, "commits": 19}
    seconds = {}

    # One signature more, over which the verifications are; commits are those of a table that is no ledger.
    found = needed.called_by(lambda: seconds.update(needed.alone(calls, small_plan)))

    assert found == calls | {"signatures": 12, "commits": 0}
    assert set(seconds) == {*calls, "random bits"}
    assert all(value > 0 for value in seconds.values())
