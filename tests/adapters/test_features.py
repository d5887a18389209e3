"""Features by the stream and from the disk: the same bits as fresh ones, and a miss whenever anything changed."""

import hashlib
import io
import json
import stat
import weakref
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from rich.console import Console

from securefed.adapters import clip, feature_cache, features, pictures
from securefed.adapters.feature_cache import FeatureCache
from securefed.data import datasets, world
from securefed.errors import ConfigError, DataError
from securefed.rng import seeded


@pytest.fixture(scope="module")
def model():
    return clip.load()


@pytest.fixture(scope="module")
def pixels():
    return datasets.public_images(world.OBJECTS, 8, rng=seeded(3)).pixels


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "features")


@pytest.fixture
def encoded(monkeypatch):
    """How many pictures went through the model, batch by batch."""
    counts = []
    original = clip.Clip.encode_fitted

    def counting(self, pictures):
        counts.append(len(pictures))
        return original(self, pictures)

    monkeypatch.setattr(clip.Clip, "encode_fitted", counting)
    return counts


@dataclass
class Lazy:
    """Pictures that are decoded when they are asked for; remembers how many were alive at once."""

    source: object
    alive: int = 0
    most: int = 0
    broken: int = -1

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        return LazyPicture(self, index)


@dataclass
class LazyPicture:
    owner: Lazy
    index: int

    @property
    def name(self):
        return f"picture {self.index}"

    @property
    def content(self):
        return hashlib.sha256(self.owner.source[self.index].tobytes()).digest()

    def decode(self):
        if self.index == self.owner.broken:
            raise DataError(f"{self.name} is damaged")
        pixels = self.owner.source[self.index].copy()
        self.owner.alive += 1
        self.owner.most = max(self.owner.most, self.owner.alive)
        weakref.finalize(pixels, self._gone)
        return pixels

    def _gone(self):
        self.owner.alive -= 1


@pytest.mark.parametrize("count", [0, 1, clip.BATCH, clip.BATCH + 1, 176])
@pytest.mark.parametrize("kind", [lambda pixels: pixels, Lazy])
def test_the_stream_gives_the_bits_that_the_array_gives(model, pixels, count, kind):
    streamed = features.encode(model, kind(pixels[:count]))
    assert streamed.dtype == torch.float32
    assert not streamed.is_inference()
    assert torch.equal(streamed, model.encode_images(pixels[:count]))


def test_features_from_the_cache_equal_fresh_ones_bit_for_bit(model, pixels, cache, encoded):
    fresh = features.encode(model, pixels, cache=cache)
    assert sum(encoded) == len(pixels)
    encoded.clear()
    again = features.encode(clip.load(), pixels, cache=cache)
    assert not encoded
    assert torch.equal(again, fresh)
    assert torch.equal(again, features.encode(model, pixels))


def test_known_and_new_pictures_may_be_mixed_in_any_order(model, pixels, cache, encoded):
    features.encode(model, pixels[::2], cache=cache)
    encoded.clear()
    order = np.random.default_rng(0).permutation(len(pixels))
    mixed = features.encode(model, pixels[order], cache=cache)
    assert sum(encoded) == len(pixels) // 2
    assert torch.equal(mixed, model.encode_images(pixels)[order])


def test_a_changed_pixel_misses_the_cache(model, pixels, cache, encoded):
    features.encode(model, pixels, cache=cache)
    changed = pixels.copy()
    changed[17, 5, 6, 1] ^= 1
    encoded.clear()
    result = features.encode(model, changed, cache=cache)
    assert encoded == [1]
    assert torch.equal(result, model.encode_images(changed))
    assert not torch.equal(result[17], model.encode_images(pixels)[17])


def test_the_same_bytes_in_another_shape_miss_the_cache(model, pixels, cache, encoded):
    features.encode(model, pixels[:4], cache=cache)
    encoded.clear()
    features.encode(model, pixels[:4].reshape(4, 16, 64, 3), cache=cache)
    assert encoded == [4]


@pytest.fixture
def altered(model, monkeypatch):
    """Give models that differ from the first in one thing each."""

    def weights():
        return replace(model, digest="0" * 64)

    def transform():
        return replace(model, transform=replace(model.transform, mean=(0.5, 0.5, 0.4)))

    def interpolation():
        return replace(model, transform=replace(model.transform, interpolation="bilinear"))

    def layers():
        other = clip.load()
        other.model.visual.act1 = torch.nn.GELU()
        return other

    def precision():
        return replace(model, placement=replace(model.placement, precision="fp16"))

    def library():
        monkeypatch.setattr(features.importlib.metadata, "version", lambda name: f"another {name}")
        monkeypatch.setattr(features, "versions", features.versions.__wrapped__)  # as another process asks for them
        return model

    return {f.__name__: f for f in (weights, transform, interpolation, layers, precision, library)}


@pytest.mark.parametrize("what", ["weights", "transform", "interpolation", "layers", "precision", "library"])
def test_a_changed_weight_transform_or_machine_misses_the_cache(model, pixels, cache, altered, what):
    features.encode(model, pixels[:3], cache=cache)
    before = cache.shelf(features.function_of(model), model.dim)
    other = altered[what]()
    after = cache.shelf(features.function_of(other), other.dim)
    contents = [pictures.Rows(pixels)[i].content for i in range(3)]
    assert all(before.find(content) is not None for content in contents)
    assert all(after.find(content) is None for content in contents)


@pytest.mark.parametrize("at", [0, 200, -1])
def test_a_damaged_file_is_deleted_and_its_pictures_are_encoded_again(model, pixels, cache, encoded, *, tmp_path, at):
    fresh = features.encode(model, pixels[:5], cache=cache)
    (file,) = tmp_path.rglob("*.npy")
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    encoded.clear()
    assert torch.equal(features.encode(model, pixels[:5], cache=cache), fresh)
    assert encoded == [5]
    assert hashlib.sha256(next(tmp_path.rglob("*.npy")).read_bytes()).hexdigest() == file.stem


def test_nobody_else_may_read_features(model, pixels, cache, tmp_path):
    features.encode(model, pixels[:2], cache=cache)
    (file,) = tmp_path.rglob("*.npy")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_folder_says_what_its_features_were_made_with(model, pixels, cache, tmp_path):
    features.encode(model, pixels[:2], cache=cache)
    (file,) = tmp_path.rglob("function.json")
    assert json.loads(file.read_text())["weights"] == model.digest


def test_a_folder_that_cannot_be_written_is_named(model, pixels, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be written \(Not a directory\); choose another folder"):
        features.encode(model, pixels[:2], cache=FeatureCache(tmp_path / "file"))


def test_long_streams_are_written_on_the_way(model, pixels, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_cache, "CHUNK", 100)
    features.encode(model, pixels, cache=cache)
    assert len(list(tmp_path.rglob("*.npy"))) == 2
    assert len(cache.shelf(features.function_of(model), model.dim)) == len(pixels)


def test_a_bad_picture_is_named_and_what_was_encoded_before_it_is_kept(model, pixels, cache, encoded):
    with pytest.raises(DataError, match="picture 150 is damaged"):
        features.encode(model, Lazy(pixels, broken=150), cache=cache)
    assert sum(encoded) == 2 * clip.BATCH
    encoded.clear()
    assert torch.equal(features.encode(model, Lazy(pixels), cache=cache), model.encode_images(pixels))
    assert encoded[0] == len(pixels) - 2 * clip.BATCH


@pytest.mark.parametrize("broken", [0, 20, 40, 63, 64])
def test_every_picture_before_a_bad_one_arrives(model, pixels, broken):
    arrivals = features._arrivals(model, Lazy(pixels[:70], broken=broken), None)
    arrived = []
    with pytest.raises(DataError, match=f"picture {broken} is damaged"):
        arrived.extend(arrival.pixels is not None for arrival in arrivals)

    assert arrived == [True] * broken


def test_many_pictures_are_never_in_memory_together(model):
    lazy = Lazy(np.random.default_rng(0).integers(0, 256, (1500, 32, 32, 3), dtype=np.uint8))
    features.encode(model, lazy)
    assert lazy.most <= 3 * clip.BATCH
    assert lazy.alive == 0


@pytest.mark.parametrize("shape", [(32, 32), (32, 32, 4), (0, 32, 3)])
def test_what_is_no_picture_is_named(model, shape):
    class Wrong(Lazy):
        def __getitem__(self, index):
            return pictures.Row("wrong.png", np.zeros(shape, np.uint8))

    with pytest.raises(DataError, match=r"wrong\.png has shape .* RGB of type uint8 is encoded"):
        features.encode(model, Wrong([0]))


def test_a_picture_that_the_transform_refuses_is_named(model):
    class Line(Lazy):
        def __getitem__(self, index):
            return pictures.Row("line.png", np.zeros((2, 500, 3), np.uint8))

    with pytest.raises(DataError, match=r"line\.png: a picture of 500 x 2 pixels is too long and thin"):
        features.encode(model, Line([0]))


def test_a_console_shows_progress_and_without_one_nothing_is_printed(model, pixels, capfd):
    shown = io.StringIO()
    features.encode(model, pixels, console=Console(file=shown, force_terminal=True, width=100))
    assert "encoding images" in shown.getvalue()
    assert "176/176" in shown.getvalue()
    features.encode(model, pixels)
    assert capfd.readouterr() == ("", "")
