"""Audits of the real pipeline: below the claim as it is, above the claim with a bug of a factor two."""

import pytest

from benchmarks import audit

BUGS = [name for name in audit.BUGS if name != "none"]


def one_round():
    return audit.paired(trials=1400, seed=1)


def whole_run():
    return audit.one_run(canaries=1024, seed=1)


@pytest.mark.parametrize("attack", [one_round, whole_run])
def test_the_pipeline_stays_below_its_claim_and_the_attack_is_no_straw_man(attack):
    found = attack()

    assert found["claimed"] == pytest.approx(audit.EPSILON, rel=1e-6)
    assert 0.3 * found["claimed"] < found["gaussian"] <= found["claimed"]
    assert 0.5 < found["any"] <= found["claimed"]


@pytest.mark.parametrize("attack", [one_round, whole_run])
@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_of_a_factor_two_in_the_pipeline_is_found(attack, bug):
    with audit.BUGS[bug]():
        found = attack()

    assert found["claimed"] == pytest.approx(audit.EPSILON, rel=1e-6)
    assert found["gaussian"] > 1.2 * found["claimed"]


@pytest.mark.parametrize("seed", range(2, 8))
def test_the_audit_of_one_run_does_not_hang_on_its_seed(seed):
    found = audit.one_run(canaries=1024, seed=seed)

    assert 0.2 * found["claimed"] < found["gaussian"] <= found["claimed"]
    assert found["any"] <= found["claimed"]
