"""The floor is local, and nothing from a server lowers it."""

from __future__ import annotations

import pytest

from securefed.aggregation.masked import MaskedSum
from securefed.aggregation.policy import Policy
from securefed.aggregation.refusals import PolicyViolation
from securefed.aggregation.session import Session
from securefed.aggregation.topology import Topology, complete, sparse
from securefed.errors import ConfigError
from tests.aggregation.cohorts import context, parameters, vectors


def refused(public, policy=Policy()) -> str:  # noqa: B008 - frozen
    session = Session(public, MaskedSum(public)._federation.roster)
    with pytest.raises(PolicyViolation) as caught:
        policy.check(public, session.topology)
    return str(caught.value)


@pytest.mark.parametrize(("clients", "threshold"), [(5, 3), (6, 4), (9, 6), (100, 66)])
def test_a_threshold_of_two_thirds_or_less_is_refused(clients, threshold):
    assert f"threshold is {threshold}" in refused(parameters(clients, threshold=threshold))


@pytest.mark.parametrize("threshold", [-3, 0, 1])
def test_thresholds_that_share_nothing_cannot_even_be_proposed(threshold):
    with pytest.raises(ConfigError, match=f"threshold is {threshold}"):
        parameters(5, threshold=threshold)


def test_small_cohorts_are_refused():
    assert "cohort is 2" in refused(parameters(2))
    assert "cohort is 4" in refused(parameters(4), Policy(minimum_cohort=5))
    assert "threshold is 6" in refused(parameters(8), Policy(minimum_cohort=7))


def test_a_server_cannot_propose_a_weaker_graph():
    weak = Topology(degree=4, share_threshold=3, witnesses=5, witness_threshold=3)
    assert "not safe" in refused(parameters(9, topology=weak))
    assert "share threshold" in refused(parameters(9, topology=complete(9, 6)))
    Policy().check(parameters(200), sparse(200, 180))


def test_rings_rounds_and_guard_bits_have_bounds():
    assert "ring" in refused(parameters(5, bits=64), Policy(maximum_bits=32))
    assert "rounds" in refused(parameters(5, context=context(round=10)), Policy(maximum_rounds=10))
    assert "guard bits" in refused(parameters(5, limit=2**30), Policy(guard_bits=2))
    assert "guard bits" in refused(parameters(5), Policy(guard_bits=1))
    Policy(guard_bits=2).check(parameters(5, limit=2**29 - 1), complete(5, 4))


def test_a_larger_clip_norm_is_refused():
    Policy(clip_norm=1.0).check_clip(1.0)
    for clip_norm in (1.1, float("nan"), 0.0, -1.0):
        with pytest.raises(PolicyViolation, match="clip norm"):
            Policy(clip_norm=1.0).check_clip(clip_norm)


def test_a_server_cannot_ask_again_under_another_tasks_name():
    assert "task is 'another'" in refused(
        parameters(5, context=context(task="another")), Policy(tasks=("test", "more"))
    )
    Policy(tasks=("test",)).check(parameters(5), complete(5, 4))
    Policy().check(parameters(5, context=context(task="any")), complete(5, 4))


def test_a_client_below_its_floor_has_no_role():
    public = parameters(5)
    scheme = MaskedSum(public, policy=Policy(minimum_cohort=6))
    name = public.cohort[0]

    with pytest.raises(PolicyViolation, match="cohort is 5"):
        scheme.client(name, vectors(public)[name], rng=None)


@pytest.mark.parametrize(
    "changes",
    [
        {"minimum_cohort": 2},
        {"corruption": 0.0},
        {"corruption": 0.5},
        {"privacy_bits": 39},
        {"maximum_bits": 65},
        {"guard_bits": -1},
        {"maximum_rounds": 0},
        {"clip_norm": 0.0},
        {"clip_norm": float("nan")},
    ],
)
def test_a_policy_below_the_hard_floor_cannot_be_made(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        Policy(**changes)


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_policy_is_read_from_a_file(tmp_path):
    path = write(tmp_path / "policy.toml", "minimum_cohort = 7\nclip_norm = 2\ntasks = ['one', 'two']\n")

    assert Policy.load(path) == Policy(minimum_cohort=7, clip_norm=2, tasks=("one", "two"))


@pytest.mark.parametrize(
    "text",
    [
        "minimum_cohort = 7.5",
        "minimum_cohort = true",
        "unknown = 1",
        "minimum_cohort = 'many'",
        "tasks = 'one'",
        "tasks = [1]",
        "= 3",
        "\x00",
    ],
)
def test_a_file_that_is_no_policy_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match=r"policy\.toml"):
        Policy.load(write(tmp_path / "policy.toml", text))


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_write_is_no_floor(tmp_path, mode):
    with pytest.raises(ConfigError, match="written by others"):
        Policy.load(write(tmp_path / "policy.toml", "", mode))
