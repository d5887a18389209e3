"""Recipes: every adapter and setting gets a plan that holds, made for its level of noise."""

import functools
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from securefed import recipes
from securefed.adapter_choices import KINDS
from securefed.adapters import clip
from securefed.adapters.facts import EMBEDDED, of
from securefed.data import task
from securefed.errors import ConfigError, DataError
from securefed.machine import Machine
from securefed.recipes import choice_for, noise_level, table
from tests.data import trees

SMALL = {"data": "world:sketch,neon", "records": 90, "classes": ("cat", "star", "key"), "clients": 6, "delta": 1e-3}
LOADED = functools.cache(task.load)
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


@pytest.fixture(autouse=True)
def _rendered_once(monkeypatch):
    monkeypatch.setattr(task, "load", LOADED)


@pytest.mark.parametrize("adapter", KINDS)
@pytest.mark.parametrize("setting", ["distributed", "per-client", "client-level", "none"])
def test_every_adapter_and_setting_gets_a_plan_that_holds(adapter, setting):
    plan = recipes.recipe(adapter, **SMALL, setting=setting)

    assert (plan.adapter.kind, plan.setting) == (adapter, setting)
    assert plan.private == (plan.noise_multiplier > 0) == (plan.epsilon is not None)


def test_the_facts_of_the_embedded_model_are_those_of_its_weights():
    assert of(clip.load()) == EMBEDDED


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_choice_is_the_one_made_for_the_nearest_level_of_the_same_unit(kind):
    for choice in table()[kind]:
        assert choice_for(kind, choice.unit, choice.level) is choice
        if choice.level:
            assert choice_for(kind, choice.unit, 1.2 * choice.level) is choice


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_holds_what_the_search_found(kind):
    found = json.loads((RESULTS / f"{kind}_choices.json").read_text())["choices"]
    kept = [{name: value for name, value in choice.items() if name != "accuracy"} for choice in found]

    assert [asdict(choice) for choice in table()[kind]] == kept


def test_several_local_steps_take_as_many_rounds_fewer():
    one, four = (recipes.cachefl(**SMALL, setting="per-client", local_steps=steps) for steps in (1, 4))

    assert four.rounds == one.rounds // 4
    assert four.queries <= one.queries


def test_a_domain_that_is_left_out_takes_its_records_along():
    whole = {name: value for name, value in SMALL.items() if name != "records"}
    plan = recipes.cachefl(**whole | {"delta": 1e-4}, left_out="neon")

    assert plan.left_out == "neon"
    assert plan.expected_records == 1600


def test_classes_that_nobody_can_generate_start_from_a_folder_of_public_images_or_from_texts(tmp_path):
    trees.grow(tmp_path / "own", ["owl", "yak"])
    trees.grow(tmp_path / "drawn", ["owl", "yak"], count=3)
    own = {"data": f"folder:{tmp_path / 'own'}", "clients": 3, "delta": 1e-2, "setting": "none"}

    texts = recipes.cachefl(**own)
    folder = recipes.cachefl(**own, machine=Machine(public_images=tmp_path / "drawn"))

    assert (texts.public, texts.adapter.shrinkage, texts.adapter.keys_per_class) == ("texts", None, 1)
    assert (folder.public, len(folder.public_digest)) == ("folder", 64)
    assert folder.adapter.shrinkage is not None


def test_a_folder_without_public_images_of_a_class_is_refused(tmp_path):
    trees.grow(tmp_path / "own", ["owl", "yak"])
    trees.grow(tmp_path / "drawn", ["owl"], count=3)
    with pytest.raises((ConfigError, DataError), match="yak"):
        recipes.cachefl(data=f"folder:{tmp_path / 'own'}", clients=3, machine=Machine(public_images=tmp_path / "drawn"))


def test_an_adapter_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ConfigError, match="clip-adapter, prompts"):
        recipes.recipe("lora", **SMALL)
