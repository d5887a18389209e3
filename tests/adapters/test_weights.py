"""Weights by tag, by path and in folders: what is found, what is refused, and what somebody is told to bring."""

import hashlib
import json
import shutil
import subprocess
import zipfile

import open_clip
import pytest
import torch
from open_clip import pretrained as table
from open_clip.transformer import QuickGELU
from safetensors.torch import save_file

from securefed.adapters import clip, placement, weights
from securefed.data import datasets, world
from securefed.errors import ConfigError, DigestError
from securefed.rng import seeded

ARCHITECTURE = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
HUB = {"hf_hub": "somebody/tiny/", "mean": (0.4, 0.4, 0.4), "std": (0.2, 0.3, 0.2)}
HUB |= {"interpolation": "bilinear", "resize_mode": "squash"}
TAGS = {
    "hub": HUB,
    "quick": {**HUB, "quick_gelu": True},
    "named": {"hf_hub": "somebody/tiny/special.bin"},
    "web": {"url": "https://somewhere.org/tiny-web.pt"},
    "openaipublic": {"url": f"https://openaipublic.azureedge.net/clip/models/{'ab' * 32}/tiny.pt"},
    "release": {"url": "https://github.com/mlfoundations/open_clip/releases/download/v1/tiny-quick-0123abcd.pt"},
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home without weights, and an architecture small enough to make some."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "small.json").write_text(json.dumps(ARCHITECTURE))
    open_clip.add_model_config(tmp_path / "small.json")
    monkeypatch.setitem(table._PRETRAINED, "small", TAGS)
    return tmp_path


@pytest.fixture
def state():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return open_clip.create_model("small").state_dict()


def place(path, state):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("tag", "file", "where"),
    [
        ("hub", "open_clip_model.safetensors", "https://huggingface.co/somebody/tiny "),
        ("named", "special.bin", "https://huggingface.co/somebody/tiny "),
        ("web", "https://somewhere.org/tiny-web.pt", ""),
    ],
)
def test_a_machine_without_the_file_is_told_which_one_to_bring_and_where_to_put_it(home, tag, file, where):
    with pytest.raises(ConfigError, match="securefed never downloads any; bring ") as refusal:
        clip.load("small", pretrained=tag)
    for part in (file, where, f"save it as {home}/.cache/securefed/weights/small/{tag}.safetensors"):
        assert part in str(refusal.value)


@pytest.mark.parametrize(
    ("tag", "place_of"),
    [
        ("hub", ".cache/securefed/weights/small/hub.safetensors"),
        ("hub", ".cache/securefed/weights/small/hub.pth"),
        ("hub", "hub/models--somebody--tiny/snapshots/1f/open_clip_model.safetensors"),
        ("hub", "hub/models--somebody--tiny/snapshots/1f/open_clip_pytorch_model.bin"),
        ("named", "hub/models--somebody--tiny/snapshots/1f/special.bin"),
        ("web", ".cache/clip/tiny-web.pt"),
    ],
)
def test_a_tag_finds_its_file_where_it_was_put_or_fetched(home, state, tag, place_of):
    file = place(home / place_of, state)
    reference = home / "hub" / "models--somebody--tiny" / "refs" / "main"
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text("1f")
    model = clip.load("small", pretrained=tag)
    assert model.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert torch.equal(model.model.visual.proj, state["visual.proj"])


def test_weights_come_with_the_transform_that_they_were_published_with(home, state):
    file = place(home / ".cache/securefed/weights/small/hub.safetensors", state)
    published, plain = clip.load("small", pretrained="hub").transform, clip.load("small", pretrained=file).transform
    assert published.describe() == {**plain.describe(), **{k: HUB[k] for k in weights._PREPROCESS}}
    assert plain.resize_mode == "shortest"
    assert plain.mean == open_clip.OPENAI_DATASET_MEAN


@pytest.mark.parametrize(("tag", "expected"), [("quick", True), ("hub", False)])
def test_weights_trained_with_quick_gelu_get_it(home, state, tag, expected):
    place(home / f".cache/securefed/weights/small/{tag}.safetensors", state)
    model = clip.load("small", pretrained=tag)
    kinds = {
        type(block.mlp.gelu)
        for block in (*model.model.visual.transformer.resblocks, *model.model.transformer.resblocks)
    }
    assert kinds == {QuickGELU if expected else torch.nn.GELU}


def test_every_openai_tag_of_open_clip_is_known_to_need_quick_gelu():
    openai = open_clip.list_pretrained_models_by_tag("openai")
    assert {"ViT-B-32", "ViT-B-16", "ViT-L-14", "RN50"} <= set(openai)
    assert all(weights._published(name, "openai")["quick_gelu"] for name in openai)


def test_the_digest_that_a_publisher_wrote_into_an_address_is_checked(home, state, monkeypatch):
    file = place(home / ".cache/clip/tiny-quick-0123abcd.pt", state)
    with pytest.raises(DigestError, match="published with one that begins with 0123abcd"):
        clip.load("small", pretrained="release")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    true = {"url": TAGS["release"]["url"].replace("0123abcd", digest[:8])}
    file.rename(file.with_name(f"tiny-quick-{digest[:8]}.pt"))
    monkeypatch.setitem(table._PRETRAINED, "small", {"release": true})
    assert clip.load("small", pretrained="release").digest == digest
    assert weights._expected(TAGS["openaipublic"]["url"]) == "ab" * 32


def test_an_archive_that_holds_code_is_refused_unread(home):
    file = home / "scripted.pt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("scripted/code/__torch__.py", "")
    with pytest.raises(ConfigError, match="TorchScript archive, which holds code beside weights"):
        clip.load("small", pretrained=file)


def test_an_unknown_tag_is_refused_with_near_ones():
    with pytest.raises(ConfigError, match=r"'quik' of model 'small' are no file, .* come near are quick"):
        clip.load("small", pretrained="quik")


@pytest.fixture
def folder(home, state):
    file = place(home / "mine" / "open_clip_model.safetensors", state)
    config = {"model_cfg": ARCHITECTURE, "preprocess_cfg": {"resize_mode": "squash", "mean": [0.1, 0.2, 0.3]}}
    (file.parent / "open_clip_config.json").write_text(json.dumps(config))
    return file.parent


def test_a_folder_loads_with_its_own_configuration(folder, state):
    model = clip.load(f"local-dir:{folder}")
    assert model.transform.resize_mode == "squash"
    assert model.transform.mean == (0.1, 0.2, 0.3)
    assert (model.dim, model.image_size) == (24, 32)
    assert torch.equal(model.model.visual.proj, state["visual.proj"])
    assert model.encode_classes(["cat", "dog"]).shape == (2, 24)


def test_a_folder_is_pinned_by_what_sha256sum_prints_of_both_files(folder):
    files = ["open_clip_config.json", "open_clip_model.safetensors"]
    printed = subprocess.run([shutil.which("sha256sum"), *files], cwd=folder, capture_output=True, check=True).stdout
    digest = hashlib.sha256(printed).hexdigest()
    assert clip.load(f"local-dir:{folder}", sha256=digest).digest == digest
    config = folder / files[0]
    config.write_text(config.read_text().replace("squash", "longest"))
    with pytest.raises(DigestError, match="was pinned"):
        clip.load(f"local-dir:{folder}", sha256=digest)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "open_clip_config.json").unlink(), "no open_clip_config.json that can be read"),
        (lambda folder: (folder / "open_clip_config.json").write_text("{"), "no open_clip_config.json that can be"),
        (lambda folder: (folder / "open_clip_config.json").write_text("{}"), "no open_clip_config.json that can be"),
        (lambda folder: (folder / "open_clip_model.safetensors").unlink(), "exactly one file of weights .* none"),
        (lambda folder: (folder / "other.bin").write_bytes(b""), "found: open_clip_model.safetensors, other.bin"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(folder, spoil, message):
    spoil(folder)
    with pytest.raises(ConfigError, match=message):
        clip.load(f"local-dir:{folder}")


def test_a_folder_brings_its_own_weights(folder):
    with pytest.raises(ConfigError, match="leave 'pretrained' 'openai' out"):
        clip.load(f"local-dir:{folder}", pretrained="openai")


def test_a_configuration_alone_is_never_a_model_with_random_weights(folder):
    (folder / "open_clip_model.safetensors").rename(folder / "open_clip_model.pt")
    with pytest.raises(ConfigError, match="exactly one file of weights"):
        clip.load(f"local-dir:{folder}")


def test_a_device_is_found_or_refused(monkeypatch):
    monkeypatch.setitem(placement.PRESENT, "mps", lambda: False)
    monkeypatch.setitem(placement.PRESENT, "cuda", lambda: False)
    assert placement.placement("auto") == placement.PLACEMENTS["cpu"]
    with pytest.raises(ConfigError, match="'cuda' is not on this machine"):
        clip.load(device="cuda")
    with pytest.raises(ConfigError, match="'tpu' is unknown; choose 'auto'"):
        clip.load(device="tpu")
    monkeypatch.setitem(placement.PRESENT, "cuda", lambda: True)
    assert placement.placement("auto").precision == "fp16"


def test_halves_give_nearly_the_same_features(monkeypatch):
    images = datasets.public_images(world.OBJECTS, 2, rng=seeded(0))
    whole = clip.load()
    monkeypatch.setitem(placement.PLACEMENTS, "cpu", placement.Placement("cpu", "fp16", 20))
    half = clip.load()
    assert half.model.visual.conv1.weight.dtype == torch.float16
    for one, other in (
        (whole.encode_images(images.pixels), half.encode_images(images.pixels)),
        (whole.encode_classes(world.OBJECTS), half.encode_classes(world.OBJECTS)),
    ):
        assert other.dtype == torch.float32
        assert (one * other).sum(dim=1).min() > 0.9999
