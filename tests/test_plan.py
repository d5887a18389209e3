"""Plan: what cannot hold cannot be built."""

import math

import numpy as np
import pytest

from securefed.errors import ConfigError
from securefed.plan import Plan
from securefed.privacy import accounting
from tests import toys


def test_the_calibrated_plan_holds_its_epsilon_against_the_coalition_and_no_tighter_than_needed():
    plan = toys.plan()
    spent = accounting.epsilon([plan.event] * plan.rounds, delta=plan.delta, view="coalition")

    assert spent <= plan.epsilon
    assert spent == pytest.approx(plan.epsilon, rel=1e-6)


def test_what_the_server_sees_costs_less_than_what_a_coalition_sees():
    plan = toys.plan()
    server, coalition = (accounting.epsilon([plan.event], delta=1e-3, view=view) for view in ("server", "coalition"))

    assert server < coalition


def test_any_tolerated_subset_of_shares_has_at_least_the_calibrated_variance():
    plan = toys.plan(clients=9, max_dropouts=2, max_colluders=2)
    remaining = (9 - 2 - 2) * plan.share_stddev**2

    assert math.sqrt(remaining) / plan.event.sensitivity >= plan.noise_multiplier


def test_a_per_client_message_carries_all_of_the_noise_itself():
    alone, shared = toys.plan(setting="per-client"), toys.plan()

    assert alone.event.shares == 1
    assert alone.share_stddev / alone.event.sensitivity == pytest.approx(alone.noise_multiplier, rel=1e-3)
    assert alone.share_stddev > 1.5 * shared.share_stddev


def test_a_plan_without_privacy_has_no_noise_and_no_event():
    plan = toys.plan(setting="none")

    assert not plan.private
    assert plan.share_stddev == 0
    with pytest.raises(ConfigError, match="no event"):
        _ = plan.event


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epsilon": 0.0}, "epsilon is 0.0"),
        ({"epsilon": -1.0}, "epsilon is -1.0"),
        ({"epsilon": math.inf}, "epsilon is inf"),
        ({"epsilon": None}, "epsilon is None"),
        ({"delta": 0.0}, "delta is 0.0"),
        ({"delta": 1 / 60}, "below 0.0167"),
        ({"delta": 1.5}, "delta is 1.5"),
        ({"rounds": 0}, "rounds is 0"),
        ({"clients": 1, "max_dropouts": 0}, "clients is 1"),
        ({"clients": 2, "max_dropouts": 0, "max_colluders": 0}, "each client the other's update"),
        ({"clients": 61, "max_dropouts": 0}, "61 clients share 60 records"),
        ({"max_dropouts": 2}, "two different sets"),
        ({"max_dropouts": 1, "max_colluders": 3}, "at least two others"),
        ({"max_dropouts": -1}, "max_dropouts is -1"),
        ({"setting": "central"}, "setting 'central' is unknown"),
        ({"secure": "rot13"}, "secure 'rot13' is unknown"),
        ({"clip_norm": 0.0}, "clip_norm is 0.0"),
        ({"clip_norm": math.nan}, "clip_norm is nan"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"adjacency": "similar"}, "adjacency is 'similar'"),
        ({"seed": -1}, "seed is -1"),
        ({"spice": 1}, "spice"),
    ],
    ids=str,
)
def test_bad_choices_are_named_with_their_bounds(changes, words):
    with pytest.raises(ConfigError, match=words):
        toys.plan(**changes)


def test_a_ring_that_cannot_hold_the_sum_is_refused():
    with pytest.raises(ConfigError, match="12 bits"):
        toys.plan(bits=12, expected_records=10_000, delta=1e-5)


def test_noise_that_falls_short_is_refused_with_what_would_do():
    values = toys.plan().model_dump() | {"noise_multiplier": 1.0}

    with pytest.raises(ConfigError, match=r"above the target 2\.0000; .* would hold it"):
        Plan.read(values)


def test_noise_without_privacy_is_a_contradiction():
    with pytest.raises(ConfigError, match="'none'"):
        Plan.read(toys.plan().model_dump() | {"setting": "none"})


@pytest.mark.parametrize("setting", ["distributed", "per-client", "none"])
def test_a_plan_survives_toml_with_the_same_digest(tmp_path, setting):
    plan = toys.plan(setting=setting, classes=('quo"te', "back\\slash", "naïve 猫"))
    (tmp_path / "plan.toml").write_text(plan.to_toml(), encoding="utf-8")

    again = Plan.from_toml(tmp_path / "plan.toml")
    assert again == plan
    assert again.digest == plan.digest


def test_every_choice_is_in_the_digest():
    assert toys.plan().digest != toys.plan(seed=1).digest
    assert toys.plan().digest != toys.plan(secure="plain").digest


@pytest.mark.parametrize("content", [b"rounds = ", b"\xff\xfe", b"version = 2\n"])
def test_a_file_that_is_no_plan_is_refused(tmp_path, content):
    (tmp_path / "plan.toml").write_bytes(content)

    with pytest.raises(ConfigError):
        Plan.from_toml(tmp_path / "plan.toml")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        Plan.from_toml(tmp_path / "plan.toml")


def test_the_ring_has_room_for_the_extreme_sum_with_its_noise():
    plan = toys.plan()
    encoding = plan.encoding
    extreme = np.full(plan.dim, encoding.bound)
    tail = np.full(plan.dim, int(14 * plan.share_stddev * math.sqrt(plan.clients)))
    total = np.zeros(plan.dim, np.uint64)
    for _ in plan.cohort:
        total = (total + encoding.encode(extreme)) & encoding.modulus_mask
    total = (total + encoding.to_ring(tail)) & encoding.modulus_mask

    assert (encoding.to_signed(total) == plan.clients * encoding.limit + tail).all()
