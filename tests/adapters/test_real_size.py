"""A model of real size without a download: ViT-B-32 with random weights, from a checkpoint on disk to features.

Random weights say nothing about accuracy; everything else (sizes, digests, transform, stream, cache) is as with
published ones.
"""

import hashlib
import shutil

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from securefed import initial
from securefed.adapters import clip, features, templates
from securefed.adapters.feature_cache import FeatureCache
from securefed.data import datasets, world
from securefed.errors import ConfigError, DigestError
from securefed.recipes import ADAPTERS
from securefed.rng import secure, seeded
from securefed.rounds import Client, ServerState, run_round
from tests import toys
from tests.replay import Free

IMAGES = 512
PARAMETERS = 151_277_313
SIZE = 4 * PARAMETERS
"""Bytes of the checkpoint, without its header."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """ViT-B-32, float32, deleted when the tests are done: its path and digest."""
    folder = tmp_path_factory.mktemp("real")
    if shutil.disk_usage(folder).free < 2 * SIZE:
        pytest.skip(f"{folder} has less than {2 * SIZE} bytes free")
    file = folder / "vit-b-32.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(open_clip.create_model("ViT-B-32").state_dict(), file)
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    yield file, digest
    file.unlink()


@pytest.fixture(scope="module")
def model(checkpoint):
    file, digest = checkpoint
    return clip.load("ViT-B-32", pretrained=file, sha256=digest)


@pytest.fixture(scope="module")
def images():
    return datasets.load("world:sketch,neon", seed=0, records=IMAGES, classes=world.OBJECTS[:16]).train


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FeatureCache(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def encoded(model, images, cache):
    return features.encode(model, images.pixels, cache=cache)


def test_it_is_loaded_by_path_and_digest_and_has_its_published_size(model, checkpoint):
    file, digest = checkpoint
    assert model.digest == digest
    assert file.stat().st_size > SIZE
    assert (model.dim, model.image_size) == (512, 224)
    assert sum(parameter.numel() for parameter in model.model.parameters()) == PARAMETERS


def test_another_digest_is_refused_before_the_checkpoint_is_parsed(checkpoint, monkeypatch):
    monkeypatch.setattr(open_clip, "create_model", lambda *_, **__: pytest.fail("weights were parsed"))
    with pytest.raises(DigestError, match="was pinned"):
        clip.load("ViT-B-32", pretrained=checkpoint[0], sha256="0" * 64)


def test_features_of_512_images_are_unit_vectors_that_differ(encoded):
    assert encoded.shape == (IMAGES, 512)
    assert torch.allclose(encoded.norm(dim=1), torch.ones(IMAGES), atol=1e-5)
    assert len(torch.unique(encoded, dim=0)) == IMAGES


def test_a_few_of_them_alone_have_the_same_bits(model, images, encoded):
    assert torch.equal(model.encode_images(images.pixels[100:107]), encoded[100:107])


def test_from_the_cache_they_have_the_same_bits_and_the_model_rests(model, images, cache, encoded, monkeypatch):
    monkeypatch.setattr(clip.Clip, "encode_fitted", lambda *_: pytest.fail("an image was encoded"))
    assert torch.equal(features.encode(model, images.pixels, cache=cache), encoded)


def test_class_vectors_of_an_ensemble_are_unit_vectors(model, images):
    text = model.encode_classes(images.class_names, templates.SEVEN[:2])
    assert text.shape == (16, 512)
    assert torch.allclose(text.norm(dim=1), torch.ones(16), atol=1e-5)


def test_published_weights_that_are_not_here_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ConfigError, match=r"bring open_clip_model\.safetensors of https://huggingface\.co/timm/vit"):
        clip.load("ViT-B-32", pretrained="openai")
    assert not list(tmp_path.iterdir())


CHOICES = {
    "fedclip": ({"kind": "fedclip"}, 525_312),
    "flora": ({"kind": "flora", "text_width": 512, "text_layers": 12, "fit": "pull-back"}, 16 * 512),
    "cachefl": ({"kind": "cachefl", "keys_per_class": 4, "shrinkage": 0.1}, 16 * 4 * 512),
    "linear": ({"kind": "linear"}, 16 * 513),
    "clip-adapter": ({"kind": "clip-adapter"}, 2 * 512 * 128),
}


@pytest.mark.parametrize(("values", "length"), CHOICES.values(), ids=CHOICES)
def test_one_private_masked_round_of_each_adapter(model, images, encoded, values, length):
    choices = ADAPTERS.validate_python(values)
    public = initial.Materials(
        model, images.class_names, (templates.PLAIN,), encoded[:64], torch.arange(64) % 16, True, seeded(1)
    )
    adapter = initial.build(choices, public)
    plan = toys.plan(
        classes=images.class_names,
        feature_dim=512,
        adapter=choices.model_dump(),
        clients=4,
        rounds=1,
        expected_records=IMAGES,
        learning_rate=1e-6,
    )
    labels = torch.from_numpy(images.labels)
    parts = torch.arange(IMAGES).tensor_split(4)
    clients = [
        Client(name=name, features=encoded[part], labels=labels[part], ledger=Free())
        for name, part in zip(plan.cohort, parts, strict=True)
    ]
    done = run_round(plan, ServerState.initial(adapter), clients, run="r", number=1, rng=lambda *_: secure())

    assert plan.secure == "mask"
    assert plan.dim == len(adapter.vector()) == length
    assert len(done.survivors) == 4
    assert (done.state.adapter.vector() != adapter.vector()).any()
    if values["kind"] == "flora":
        assert choices.parameters(16, 512) == len(adapter.parameters) == 24_576
