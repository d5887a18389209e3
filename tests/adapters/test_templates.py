"""Prompts by data set."""

import pytest

from securefed.adapters import clip, templates
from securefed.data import named

KINDS = [f"torchvision:{kind}" for kind in named.KINDS]


def test_every_published_set_has_its_prompt():
    assert sorted(templates.SINGLE) == sorted(KINDS)
    assert set(templates.ENSEMBLE) <= set(KINDS)


@pytest.mark.parametrize("data", [*KINDS, "folder:pets", "digits"])
def test_every_prompt_has_room_for_one_name_and_none_is_there_twice(data):
    for prompts in (templates.single(data), templates.ensemble(data)):
        assert all(prompt.count("{}") == 1 for prompt in prompts)
        assert len(set(prompts)) == len(prompts) >= 1
        assert not any("  " in prompt for prompt in prompts)


PUBLISHED = {"CIFAR10": 18, "CIFAR100": 18, "DTD": 8, "EuroSAT": 3, "FGVCAircraft": 2, "SUN397": 2, "StanfordCars": 8}
PUBLISHED |= {"Food101": 1, "Flowers102": 1, "OxfordIIITPet": 1}


@pytest.mark.parametrize(("data", "count"), PUBLISHED.items())
def test_ensembles_have_as_many_prompts_as_were_published(data, count):
    assert len(templates.ensemble(f"torchvision:{data}")) == count


def test_own_data_gets_the_plain_prompt_or_the_seven():
    assert templates.single("folder:pets") == clip.TEMPLATES == (templates.PLAIN,)
    assert templates.ensemble("folder:pets") == templates.SEVEN
