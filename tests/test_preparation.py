"""Preparation: what a run is made of, from a plan and a machine."""

import numpy as np
import pytest
import torch
from PIL import Image

from securefed import preparation, recipes
from securefed.adapter_choices import KINDS
from securefed.adapters import features
from securefed.data.drawn import Drawings
from securefed.data.manifest import Manifest
from securefed.errors import ConfigError, DigestError
from securefed.machine import Machine
from securefed.plan import Plan
from securefed.preparation import prepare
from tests.data import trees

OWN = {"clients": 3, "delta": 1e-3, "setting": "none"}


@pytest.fixture
def images(tmp_path):
    """Three domains with two classes that nobody can generate."""
    folders = [f"{domain}/{name}" for domain in ("day", "dusk", "night") for name in ("owl", "yak")]
    return trees.grow(tmp_path / "own", folders, count=10)


@pytest.fixture(scope="module")
def materials():
    plan = recipes.recipe("linear", data="world:sketch,neon", records=60, classes=("cat", "star"), **OWN)
    return plan, prepare(plan)


@pytest.mark.parametrize("kind", KINDS)
def test_every_adapter_is_built_as_long_as_the_plan_says_from_each_public_source(images, tmp_path, kind):
    drawn = Machine(public_images=trees.grow(tmp_path / "drawn", ["owl", "yak"], count=4))
    for machine in (None, drawn):
        plan = recipes.recipe(kind, data=f"folder:{images}", machine=machine, **OWN)
        found = prepare(plan, machine).adapter

        assert len(found.vector()) == plan.dim
        assert found.provenance == "public"


def test_a_domain_that_is_left_out_is_with_no_client(images):
    plan = recipes.recipe("fedclip", data=f"folder:{images}", partition="domain", left_out="night", **OWN)
    found = prepare(plan)

    assert len(found.unseen.labels) == 20
    assert sum(len(shard.labels) for shard in found.shards.values()) == plan.expected_records == 32
    names = {record.name.split("/")[0] for record in found.manifest.train + found.manifest.test}
    assert names == {"day", "dusk"}


def test_the_manifest_tells_who_holds_what(materials, tmp_path):
    plan, found = materials
    found.manifest.write(tmp_path / "manifest.json")
    again = Manifest.read(tmp_path / "manifest.json")

    assert [len(part) for part in again.parts] == [len(shard.labels) for shard in found.shards.values()]
    assert again.partition == plan.partition


def test_features_come_from_the_cache_with_the_same_bits(materials, tmp_path, monkeypatch):
    plan, fresh = materials
    machine = Machine(cache=tmp_path / "features")
    prepare(plan, machine)
    monkeypatch.setattr(preparation.clip.Clip, "encode_fitted", lambda *_: pytest.fail("an image was encoded"))
    monkeypatch.setattr(Drawings, "drawn", lambda *_: pytest.fail("an image was drawn"))
    again = prepare(plan, machine)

    assert torch.equal(again.test.features, fresh.test.features)
    assert np.array_equal(again.adapter.vector(), fresh.adapter.vector())


def test_records_that_lie_with_several_clients_are_refused_under_privacy_before_they_are_encoded(monkeypatch):
    monkeypatch.setattr(features, "encode", lambda *_, **__: pytest.fail("an image was encoded"))
    choices = {"data": "world:sketch", "records": 90, "classes": ("cat", "star"), "clients": 3, "delta": 1e-3}
    plan = recipes.recipe("linear", **choices, partition="few-shot-overlapping:30")

    with pytest.raises(ConfigError, match="gives a record to"):
        prepare(plan)


def test_public_images_that_are_others_than_the_plans_are_refused(images, tmp_path):
    machine = Machine(public_images=trees.grow(tmp_path / "drawn", ["owl", "yak"], count=4))
    plan = recipes.recipe("cachefl", data=f"folder:{images}", machine=machine, **OWN)
    file = next((tmp_path / "drawn" / "owl").iterdir())
    pixels = np.asarray(Image.open(file)).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(file)

    with pytest.raises(DigestError, match="same ones"):
        prepare(plan, machine)
    with pytest.raises(ConfigError, match="public_images"):
        prepare(plan)


def test_other_weights_than_the_plans_are_refused(materials):
    plan, _ = materials
    with pytest.raises(DigestError):
        prepare(Plan.read(plan.model_dump() | {"model_digest": "0" * 64}))


def test_an_adapter_of_another_length_than_the_plans_is_refused():
    plan = recipes.recipe("prompts", data="world:sketch", records=60, classes=("cat", "star"), **OWN)
    longer = plan.adapter.model_dump() | {"words": 5}

    with pytest.raises(ConfigError, match="sends 512 numbers"):
        prepare(Plan.read(plan.model_dump() | {"adapter": longer}))
