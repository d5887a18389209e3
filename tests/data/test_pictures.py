"""Sequences of pictures, and images made of them."""

import hashlib

import numpy as np
import pytest

from securefed.data import datasets, decode, selection
from securefed.data.images import DataSet, Images
from securefed.data.pictures import Chosen, Files, Joined, Picture
from securefed.errors import ConfigError, DataError
from tests.data.trees import grow


@pytest.fixture
def files(tmp_path):
    grow(tmp_path, ["a", "b"])
    return Files(tmp_path, tuple(f"{name}/{i:03d}.png" for name in "ab" for i in range(5)))


def images(pixels, domains=("p",), labels=None):
    count = len(pixels)
    labels = np.arange(count) % 2 if labels is None else labels
    return Images(pixels, labels, np.arange(count) % len(domains), ("x", "y"), domains)


def test_a_picture_is_read_when_it_is_asked_for(files):
    data = (files.root / "b/001.png").read_bytes()
    assert files[6] == Picture(str(files.root / "b/001.png"), data)
    assert files[6].sha256 == hashlib.sha256(data).hexdigest()
    assert files[6].decode().shape == (8, 10, 3)


def test_content_depends_on_every_byte_and_on_the_rules_of_decoding(monkeypatch, files):
    picture = files[0]
    assert Picture("another name", picture.data).content == picture.content
    assert Picture(picture.name, picture.data + b"\0").content != picture.content
    before = picture.content
    monkeypatch.setattr("securefed.data.pictures.DECODER", decode.DECODER + ", other rules")
    assert picture.content != before


def test_choosing_twice_is_choosing_once(files):
    once = files.take(np.array([7, 2, 5]))
    twice = once.take(np.array([2, 0]))
    assert [twice.name(i) for i in range(len(twice))] == ["b/000.png", "b/002.png"]
    assert twice.source is files
    assert twice[0] == files[5]


def test_joined_pictures_come_one_after_the_other(files):
    joined = Joined(files, files.take(np.array([3])))
    assert len(joined) == 11
    assert joined[9] == files[9]
    assert joined[10] == files[3]
    assert joined.name(10) == "a/003.png"
    assert isinstance(joined.take(np.array([10])), Chosen)


def test_images_of_pictures_are_taken_and_joined_like_arrays(files):
    lazy, whole = images(files), images(np.stack([files[i].decode() for i in range(10)]))
    order = np.array([9, 0, 4])
    for made, expected in ((lazy.take(order), whole.take(order)), (lazy.joined(lazy), whole.joined(whole))):
        assert np.array_equal(np.stack([made.pixels[i].decode() for i in range(len(made))]), expected.pixels)
        assert np.array_equal(made.labels, expected.labels)


def test_images_that_mean_different_things_are_not_joined(files):
    with pytest.raises(DataError, match="labels would mean two things"):
        images(files).joined(images(files, domains=("q",)))
    with pytest.raises(DataError, match="an array and pictures that are not decoded yet"):
        images(files).joined(images(np.zeros((2, 4, 4, 3), np.uint8)))


def test_as_many_labels_as_pictures_are_needed(files):
    with pytest.raises(DataError, match="10 images need shape"):
        images(files, labels=np.zeros(9, np.int64))


def test_leaving_a_domain_out_leaves_none_of_it_behind():
    data = datasets.load("world:neon,chalk,mosaic", seed=0, records=60)
    rest, left_out = selection.without_domain(data, "chalk")
    chalk = 1
    assert len(rest.train) == 40
    assert not (rest.train.domains == chalk).any()
    assert not (rest.test.domains == chalk).any()
    assert (left_out.domains == chalk).all()
    assert len(left_out) + len(rest.train) + len(rest.test) == len(data.train) + len(data.test)


def test_a_domain_that_is_unknown_or_the_only_one_cannot_be_left_out(files):
    data = DataSet("set", images(files), images(files))
    with pytest.raises(ConfigError, match="domain 'r' is unknown"):
        selection.without_domain(data, "r")
    with pytest.raises(ConfigError, match="has only the domain 'p'"):
        selection.without_domain(data, "p")
