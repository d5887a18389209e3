"""Saved data sets of Hugging Face's library, and what happens without it."""

import sys

import numpy as np
import pytest

from securefed.data import datasets
from securefed.errors import ConfigError, DataError


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'securefed\[huggingface\]'"):
        datasets.load("huggingface:food", seed=0, root=tmp_path)


@pytest.fixture
def library():
    return pytest.importorskip("datasets", reason="the extra 'huggingface' is not installed")


@pytest.fixture
def rows(library):
    def make(count, seed=0, **columns):
        pixels = np.random.default_rng(seed).integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
        values = {"picture": list(pixels), "kind": [i % 2 for i in range(count)], **columns}
        features = {"picture": library.Image(), "kind": library.ClassLabel(names=["hot_dog", "cat"])}
        features |= {name: library.Value("string") for name in columns}
        return library.Dataset.from_dict(values, features=library.Features(features))

    return make


def test_a_saved_set_is_read_with_its_names_and_decoded_on_demand(tmp_path, rows):
    made = rows(10)
    made.save_to_disk(tmp_path / "food")
    data = datasets.load("huggingface:food", seed=0, root=tmp_path)
    assert data.train.class_names == ("hot dog", "cat")
    assert (len(data.train), len(data.test)) == (8, 2)
    name = data.train.pixels.name(3)
    assert name.startswith("huggingface:food/train/")
    expected = np.asarray(made[int(name.rpartition("/")[2])]["picture"])
    assert np.array_equal(data.train.pixels[3].decode(), expected)


@pytest.mark.parametrize("held_out", ["test", "validation"])
def test_a_published_split_is_kept(tmp_path, library, rows, held_out):
    library.DatasetDict({"train": rows(6), held_out: rows(3, seed=1)}).save_to_disk(tmp_path / "food")
    data = datasets.load("huggingface:food", seed=0, root=tmp_path)
    assert (len(data.train), len(data.test)) == (6, 3)
    assert data.test.pixels.name(0) == f"huggingface:food/{held_out}/0"


def test_a_column_of_domains_is_used(tmp_path, library, rows):
    parts = {"train": rows(4, domain=["photo", "sketch"] * 2), "test": rows(2, domain=["sketch", "sketch"])}
    library.DatasetDict(parts).save_to_disk(tmp_path / "food")
    data = datasets.load("huggingface:food", seed=0, root=tmp_path)
    assert data.train.domain_names == data.test.domain_names == ("photo", "sketch")
    assert data.train.domains.tolist() == [0, 1, 0, 1]
    assert data.test.domains.tolist() == [1, 1]


def test_a_set_without_images_or_with_two_kinds_of_labels_is_refused(tmp_path, library, rows):
    rows(3).remove_columns("picture").save_to_disk(tmp_path / "one")
    with pytest.raises(DataError, match=r"0 columns of images \(none\); exactly one is needed"):
        datasets.load("huggingface:one", seed=0, root=tmp_path)
    made = rows(3)
    made.add_column("other", [0, 1, 0]).cast_column("other", library.ClassLabel(names=["x", "y"])).save_to_disk(
        tmp_path / "two"
    )
    with pytest.raises(DataError, match=r"2 columns of classes \(kind, other\)"):
        datasets.load("huggingface:two", seed=0, root=tmp_path)


@pytest.mark.usefixtures("library")
def test_a_folder_that_was_not_saved_is_refused_with_how_to_save_it(tmp_path):
    (tmp_path / "food").mkdir()
    with pytest.raises(DataError, match="save_to_disk"):
        datasets.load("huggingface:food", seed=0, root=tmp_path)


def test_a_row_without_an_image_or_a_class_is_named(tmp_path, library, rows):
    features = rows(1).features
    missing = library.Dataset.from_dict({"picture": [None, None], "kind": [0, 1]}, features=features)
    missing.save_to_disk(tmp_path / "food")
    data = datasets.load("huggingface:food", seed=0, root=tmp_path)
    with pytest.raises(DataError, match=r"row 0 is missing"):
        data.train.pixels[0]
    library.Dataset.from_dict({"picture": [None], "kind": [-1]}, features=features).save_to_disk(tmp_path / "other")
    with pytest.raises(DataError, match="rows without a class"):
        datasets.load("huggingface:other", seed=0, root=tmp_path)
