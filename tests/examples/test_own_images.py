"""A run on a folder of own images, as a user starts it."""

import importlib.util
from pathlib import Path

import pytest

from securefed.data.manifest import Manifest
from tests.data import trees

SCRIPT = Path(__file__).parents[2] / "examples" / "own_images.py"
DOMAINS, CLASSES = ("day", "dusk", "fog", "night"), ("owl", "yak")


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("own_images", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    return trees.grow(folder, [f"{domain}/{name}" for domain in DOMAINS for name in CLASSES], count=10)


@pytest.fixture
def start(example, photos, tmp_path, monkeypatch):
    """Start the example with a home that holds no weights."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return lambda arguments: example.main([str(photos), *arguments, "--delta", "1e-3", "--out", str(tmp_path / "run")])


def test_every_client_holds_a_domain_and_the_one_left_out_is_measured(example, photos, tmp_path, capsys):
    options = ["--left-out", "night", "--adapter", "fedclip", "--delta", "1e-3", "--out", str(tmp_path / "run")]
    assert example.main([str(photos), *options]) == 0
    printed = capsys.readouterr().out
    manifest = Manifest.read(tmp_path / "run" / "manifest.json")
    held = [{manifest.train[i].name.split("/")[0] for i in part} for part in manifest.clients]

    assert held == [{"day"}, {"dusk"}, {"fog"}]
    assert "on night, which nobody trained on: zero-shot" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--left-out", "noon"], "did you mean"),
        (["--model", "ViT-B-23"], "did you mean"),
        (["--model", "ViT-B-32", "--pretrained", "openai"], "bring"),
        (["--public-images", "nowhere"], "nowhere"),
        (["--adapter", "lora"], "did you mean"),
        (["--device", "abacus"], "abacus"),
    ],
    ids=str,
)
def test_what_is_missing_is_named_with_exit_code_2(start, capsys, arguments, words):
    assert start(arguments) == 2
    assert words in capsys.readouterr().err
