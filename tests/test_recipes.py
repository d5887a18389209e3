"""Recipes: every setting gets a plan that holds, made for its level of noise."""

import pytest

from securefed import recipes
from securefed.recipes import CHOICES, choice_for, noise_level

SMALL = {"data": "world:sketch,neon", "records": 90, "classes": ("cat", "star", "key"), "clients": 6, "delta": 1e-3}


@pytest.mark.parametrize("setting", ["distributed", "per-client", "client-level", "none"])
def test_every_setting_gets_a_plan_that_holds(setting):
    plan = recipes.cachefl(**SMALL, setting=setting)

    assert plan.setting == setting
    assert plan.private == (plan.noise_multiplier > 0) == (plan.epsilon is not None)


def test_the_level_of_noise_is_that_of_the_plan():
    """What a search without a plan assumed is what a plan then has: noise in the mean, if one round had it all."""
    for setting in ("distributed", "per-client", "client-level"):
        plan = recipes.cachefl(**SMALL, setting=setting, rounds=1)
        noise = plan.share_stddev * plan.encoding.step * plan.clients**0.5 / plan.normaliser / plan.clip_norm
        level = noise_level(
            setting=setting,
            epsilon=plan.epsilon,
            delta=plan.delta,
            clients=plan.clients,
            honest=plan.honest_shares,
            records=plan.expected_records,
        )
        assert noise == pytest.approx(level, rel=1e-3)


def test_a_choice_is_the_one_made_for_the_nearest_level_of_the_same_unit():
    for choice in CHOICES:
        assert choice_for(choice.unit, choice.level) is choice
        if choice.level:
            assert choice_for(choice.unit, 1.2 * choice.level) is choice


def test_several_local_steps_take_as_many_rounds_fewer():
    one, four = (recipes.cachefl(**SMALL, setting="per-client", local_steps=steps) for steps in (1, 4))

    assert four.rounds == one.rounds // 4
    assert four.queries <= one.queries
