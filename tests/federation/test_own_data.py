"""An owner's images become its client's data, and nobody else's."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from securefed import recipes
from securefed.data import datasets
from securefed.errors import ConfigError
from securefed.federation import kits, own_data
from securefed.machine import Machine
from securefed.preparation import Encoder
from securefed.rng import secure

CLASSES = ("cat", "star", "key")


@pytest.fixture(scope="module")
def plan():
    return recipes.cachefl(
        data="world:sketch,neon", records=90, classes=CLASSES, clients=3, rounds=1, delta=1e-3, epsilon=2.0
    )


@pytest.fixture
def kit(plan, tmp_path):
    kits.write(plan, "task", tmp_path / "kits", rng=secure())
    return tmp_path / "kits" / "clients" / plan.cohort[0]


@pytest.fixture
def photos(tmp_path):
    """Images of two of the plan's three classes, and what they are as arrays."""
    drawn = datasets.load("world:chalk", seed=5, records=40, classes=("star", "key")).train
    for number, (pixels, label) in enumerate(zip(drawn.pixels, drawn.labels, strict=True)):
        place = tmp_path / "photos" / drawn.class_names[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number:03d}.png")
    return tmp_path / "photos", drawn


def test_an_agent_serves_its_owners_images_with_the_plans_labels(plan, kit, photos):
    folder, drawn = photos
    own_data.put(kit, folder)
    with kits.open_owner(kit) as owner:
        features, labels = owner.client.features, owner.client.labels

    names = [CLASSES[label] for label in labels]
    assert sorted(names) == sorted(drawn.class_names[label] for label in drawn.labels)
    expected = Encoder.load(plan, Machine(), None)(drawn).features
    for name, index in (("star", 0), ("key", 1)):
        own = features[torch.tensor([each == name for each in names])]
        known = expected[torch.from_numpy(drawn.labels == index)]
        # The same pictures in whatever order.
        assert torch.cdist(own, known).min(dim=1).values.max() < 1e-5


def test_data_is_for_its_owners_eyes_and_never_replaced(kit, photos):
    own_data.put(kit, photos[0])
    path = kit / "data.safetensors"
    before = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="a ledger belongs to its data"):
        own_data.put(kit, photos[0])
    assert path.read_bytes() == before
    assert set(load_file(path)) == {"features", "labels"}


def test_images_of_a_class_that_the_plan_does_not_know_are_refused_and_nothing_is_written(kit, photos):
    other = photos[0] / "zebra"
    other.mkdir()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(other / "1.png")
    with pytest.raises(ConfigError, match="images of zebra; the plan's classes are cat, star, key"):
        own_data.put(kit, photos[0])
    assert not (kit / "data.safetensors").exists()
