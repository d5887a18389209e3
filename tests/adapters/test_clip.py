"""The frozen model: what it knows, that it is open_clip's own, and what is refused before anything is parsed."""

import hashlib
import json
import shutil
import socket
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from securefed.adapters import clip
from securefed.data import datasets, world
from securefed.errors import ConfigError, DataError, DigestError
from securefed.rng import seeded

ROOT = Path(__file__).parents[2]
WEIGHTS = clip._ASSETS / f"{clip.EMBEDDED}.safetensors"


@pytest.fixture(scope="module")
def model():
    return clip.load()


@pytest.fixture(scope="module")
def photos():
    return datasets.public_images(world.OBJECTS, 10, domains=["photo"], rng=seeded(77))


def accuracy(model, images):
    guess = clip.zero_shot(model.encode_images(images.pixels), model.encode_classes(images.class_names))
    return float((guess == clip.as_tensor(images.labels)).double().mean())


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def unparsed(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("weights were parsed")

    monkeypatch.setattr(open_clip, "create_model", refuse)


def test_the_embedded_model_is_an_open_clip_model_frozen_and_small(model):
    assert isinstance(model.model, open_clip.CLIP)
    assert (model.dim, model.image_size) == (clip.EMBEDDED_DIM, 32)
    assert 1 < model.logit_scale <= 100.1
    assert not any(parameter.requires_grad for parameter in model.model.parameters())
    assert not any(module.training for module in model.model.modules())
    assert WEIGHTS.stat().st_size < 6e6


def test_the_digest_is_the_one_of_the_file_and_pinned(model):
    assert model.digest == clip.EMBEDDED_SHA256 == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert clip.load(sha256=model.digest.upper()).digest == model.digest


def test_loading_prints_nothing_and_asks_no_network(offline, capfd):
    clip.load()
    assert capfd.readouterr() == ("", "")


def test_features_are_unit_float32_and_may_enter_a_graph(model, photos):
    features, text = model.encode_images(photos.pixels), model.encode_classes(photos.class_names)
    for rows, count in ((features, 220), (text, 22)):
        assert rows.shape == (count, 128)
        assert rows.dtype == torch.float32
        assert not rows.is_inference()
        assert torch.allclose(rows.norm(dim=1), torch.ones(count), atol=1e-6)
    weight = torch.ones(128, requires_grad=True)
    (features * weight).sum().backward()
    assert weight.grad is not None


def test_photos_of_objects_and_digits_are_recognised_without_training(model, photos):
    assert accuracy(model, photos) > 0.9
    digits = datasets.public_images(world.DIGITS, 20, domains=["photo"], rng=seeded(78))
    assert accuracy(model, digits) > 0.9


def test_every_public_domain_is_recognised_and_other_domains_leave_something_to_learn(model):
    known = [datasets.public_images(world.OBJECTS, 8, domains=[d], rng=seeded(1)) for d in world.PUBLIC_DOMAINS]
    assert min(accuracy(model, images) for images in known) > 0.85
    hard = datasets.load("world:sketch,neon,chalk,painting", seed=0, records=48, classes=world.OBJECTS[:12]).test
    assert 0.6 < accuracy(model, hard) < 0.8


def test_the_published_table_is_of_these_weights_and_real_digits_are_read_as_often_as_it_says(model):
    """All 1,797 of them, so that the figure has no split."""
    published = json.loads((ROOT / "benchmarks" / "results" / "zero_shot.json").read_text())
    assert published["sha256"] == model.digest
    data = datasets.load("digits", seed=0)
    right = sum(accuracy(model, images) * len(images) for images in (data.train, data.test))
    assert right / 1797 == pytest.approx(published["real_digits"]["zero_shot"], abs=0.005)


def test_features_are_bit_equal_to_those_of_open_clip(model, photos):
    """Its own function makes the model from the same file, and its own methods encode."""
    other = open_clip.create_model(clip.EMBEDDED, pretrained=str(WEIGHTS)).eval()
    tokenizer = open_clip.get_tokenizer(clip.EMBEDDED, bpe_path=str(clip._ASSETS / f"{clip.EMBEDDED}.vocabulary.gz"))
    pixels = photos.pixels[: clip.BATCH]
    with torch.inference_mode():
        images = other.encode_image(model.prepared(pixels), normalize=True)
        text = other.encode_text(tokenizer([f"a photo of a {name}." for name in world.OBJECTS]), normalize=True)
    assert torch.equal(model.encode_images(pixels), images)
    assert torch.allclose(model.encode_classes(world.OBJECTS), text, atol=1e-6)


def test_pixels_are_prepared_as_open_clip_prepares_them(model, photos):
    from PIL import Image

    _, _, preprocess = open_clip.create_model_and_transforms(clip.EMBEDDED, pretrained=str(WEIGHTS))
    expected = torch.stack([preprocess(Image.fromarray(image)) for image in photos.pixels[:5]])
    assert torch.allclose(model.prepared(photos.pixels[:5]), expected, atol=1e-6)


@pytest.mark.parametrize(("start", "count"), [(0, 1), (5, 7), (63, 2), (3, 200)])
def test_features_do_not_depend_on_the_images_beside_them(model, photos, start, count):
    """Bit for bit: adding or removing one record changes no other record's features."""
    alone = model.encode_images(photos.pixels[start : start + count])
    assert torch.equal(alone, model.encode_images(photos.pixels)[start : start + count])


def test_features_repeat_bit_for_bit_and_follow_the_order_of_the_images(model, photos):
    features = model.encode_images(photos.pixels)
    assert torch.equal(features, clip.load().encode_images(photos.pixels))
    assert torch.equal(features.flip(0), model.encode_images(np.ascontiguousarray(photos.pixels[::-1])))


def test_no_images_give_no_features(model):
    assert model.encode_images(np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 128)


def test_larger_images_are_scaled_to_what_the_model_sees(model, photos):
    large = photos.pixels.repeat(3, axis=1).repeat(3, axis=2)
    cosines = (model.encode_images(large) * model.encode_images(photos.pixels)).sum(dim=1)
    assert cosines.median() > 0.9


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 32, 32, 3), np.float32),
        np.zeros((2, 3, 32, 32), np.uint8),
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((2, 32, 0, 3), np.uint8),
    ],
)
def test_what_is_no_batch_of_images_is_refused(model, pixels):
    with pytest.raises(DataError, match="RGB images of type uint8"):
        model.encode_images(pixels)


def test_class_vectors_are_the_renormalised_mean_over_templates(model):
    templates = ("a photo of a {}.", "a sketch of a {}.", "{}")
    single = torch.stack([model.encode_classes(["cat", "two"], [t]) for t in templates])
    expected = torch.nn.functional.normalize(single.mean(dim=0), dim=1)
    assert torch.allclose(model.encode_classes(["cat", "two"], templates), expected, atol=1e-6)


def test_words_of_the_world_are_tokenised_as_clip_does(model):
    """Every word of a prompt is as many tokens as in CLIP's own vocabulary."""
    full = open_clip.get_tokenizer("ViT-B-32")
    for name in world.CLASSES:
        text = f"a pencil drawing of a {name}."
        pieces = [[t.decoder[i] for i in t.encode(text)] for t in (full, model.tokenizer)]
        assert pieces[0] == pieces[1]


def test_words_outside_the_world_fall_back_to_pieces(model):
    assert model.encode_classes(["zebra", "cat"]).shape == (2, 128)


@pytest.mark.parametrize(
    ("names", "templates", "message"),
    [
        ([], ["{}"], "0 class names and 1 templates"),
        (["cat"], [], "1 class names and 0 templates"),
        (["cat"], ["a photo"], "'a photo' has no {} for the class name"),
        (["a photo of a very long zoological designation"], ["{}"], "tokens, model 'securefed-tiny' reads 14"),
    ],
)
def test_prompts_that_say_nothing_or_too_much_are_refused(model, names, templates, message):
    with pytest.raises(ConfigError, match=message):
        model.encode_classes(names, templates)


@pytest.mark.parametrize("at", [0, 5000, -1])
def test_damaged_weights_are_refused_before_anything_parses_them(tmp_path, unparsed, at):
    content = bytearray(WEIGHTS.read_bytes())
    content[at] ^= 1
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(content)
    with pytest.raises(DigestError, match=r"damaged or another file\. Nothing was loaded"):
        clip.load(pretrained=damaged, sha256=clip.EMBEDDED_SHA256)


@pytest.mark.parametrize("ending", ["safetensors", "json", "vocabulary.gz"])
def test_every_file_of_the_embedded_model_is_pinned(tmp_path, monkeypatch, unparsed, ending):
    copy = tmp_path / "assets"
    shutil.copytree(clip._ASSETS, copy)
    changed = copy / f"{clip.EMBEDDED}.{ending}"
    changed.write_bytes(changed.read_bytes() + b"\n")
    monkeypatch.setattr(clip, "_ASSETS", copy)
    with pytest.raises(DigestError, match=rf"{clip.EMBEDDED}\.{ending} has SHA-256"):
        clip.load()


def test_a_pin_that_differs_from_the_embedded_weights_is_refused(unparsed):
    with pytest.raises(DigestError, match=r"f{64} was pinned"):
        clip.load(sha256="f" * 64)


def test_an_unknown_name_is_refused_with_near_ones():
    with pytest.raises(ConfigError, match="'securefed-tinny' is unknown; did you mean one of securefed-tiny"):
        clip.load("securefed-tinny")


@pytest.mark.parametrize("pretrained", [None, "openai", "/no/such/file.pt"])
def test_weights_are_never_downloaded(offline, pretrained):
    with pytest.raises(ConfigError, match="no file, and securefed never downloads any"):
        clip.load("ViT-B-32", pretrained=pretrained)


@pytest.mark.parametrize("name", ["roberta-ViT-B-32", "ViT-B-16-SigLIP"])
def test_models_whose_tokenizer_is_elsewhere_are_refused(offline, name):
    with pytest.raises(ConfigError, match="tokenizer that would have to be downloaded"):
        clip.load(name, pretrained=WEIGHTS)


def test_weights_of_another_architecture_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no weights of 'ViT-S-32-alt'"):
        clip.load("ViT-S-32-alt", pretrained=WEIGHTS)
    rubbish = tmp_path / "rubbish.safetensors"
    rubbish.write_bytes(b"rubbish")
    with pytest.raises(ConfigError, match="holds no weights"):
        clip.load(pretrained=rubbish)


def test_any_open_clip_architecture_loads_from_a_checkpoint_by_the_same_function(tmp_path, photos):
    """A vision transformer at another size, saved by torch, read with open_clip's full vocabulary."""
    config = tmp_path / "other-tiny.json"
    vision = {"image_size": 48, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    config.write_text(json.dumps({"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(config)
    checkpoint = tmp_path / "other.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(open_clip.create_model("other-tiny").state_dict(), checkpoint)
    other = clip.load("other-tiny", pretrained=checkpoint)
    assert (other.dim, other.image_size, other.name) == (24, 48, "other-tiny")
    assert other.encode_images(photos.pixels).shape == (220, 24)
    assert other.encode_classes(["zebra", "cat"]).shape == (2, 24)
    assert other.digest == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
