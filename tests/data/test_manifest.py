"""Manifests: a run is repeated exactly, and whatever changed is named before it is used."""

import json
import stat

import numpy as np
import pytest

from securefed.data import datasets, folders, partition
from securefed.data.manifest import Manifest
from securefed.errors import DataError, DigestError
from securefed.rng import seeded
from tests.data.trees import grow, image

CLASSES = [f"{domain}/{name}" for domain in ("photo", "sketch") for name in ("cat", "dog")]


@pytest.fixture
def tree(tmp_path):
    return grow(tmp_path / "pets", CLASSES)


def described(tree, seed=0):
    data = folders.load(tree, "folder:pets", seed=seed)
    parts = partition.partition("dirichlet:0.5", data.train, 3, rng=seeded(seed))
    return data, Manifest.of(data, parts, partition="dirichlet:0.5", seed=seed)


def test_what_is_written_is_read_again_and_parts_the_data_alike(tree, tmp_path):
    data, manifest = described(tree)
    manifest.write(tmp_path / "manifest.json")
    again = Manifest.read(tmp_path / "manifest.json")
    assert again == manifest
    assert again.digest == manifest.digest
    parts = partition.partition("dirichlet:0.5", data.train, 3, rng=seeded(0))
    assert all(np.array_equal(a, b) for a, b in zip(again.parts, parts, strict=True))
    assert {part.dtype for part in again.parts} == {np.dtype(np.int64)}
    again.check(folders.load(tree, "folder:pets", seed=0))


def test_only_the_owner_reads_it(tree, tmp_path):
    described(tree)[1].write(tmp_path / "manifest.json")
    assert stat.S_IMODE((tmp_path / "manifest.json").stat().st_mode) == 0o600


def test_the_digest_depends_on_everything(tree):
    _, manifest = described(tree)
    others = [described(tree, seed=1)[1]]
    image(tree / "photo/cat/000.png", 99)
    others.append(described(tree)[1])
    assert len({manifest.digest, *(other.digest for other in others)}) == 3


def test_generated_images_are_described_by_their_pixels():
    data = datasets.load("world:neon", seed=0, records=40)
    parts = partition.iid(data.train.labels, 4, rng=seeded(0))
    manifest = Manifest.of(data, parts, partition="iid", seed=0)
    manifest.check(datasets.load("world:neon", seed=0, records=40))
    with pytest.raises(DigestError, match=r"40 changed \(0, 1, 10, \.\.\.\)"):
        manifest.check(datasets.load("world:neon", seed=1, records=40))


@pytest.fixture
def path(tree):
    """A training file."""
    data, _ = described(tree)
    return data.train.pixels.name(4)


@pytest.mark.parametrize(
    "touch", [lambda file: image(file, 77), lambda file: file.write_bytes(file.read_bytes() + b"x")]
)
def test_a_changed_file_is_named(tree, path, touch):
    _, manifest = described(tree)
    touch(tree / path)
    with pytest.raises(DigestError, match=rf"training records of 'folder:pets' are others .* 1 changed \({path}\)"):
        manifest.check(described(tree)[0])


def test_a_changed_held_out_file_is_named_too(tree):
    data, manifest = described(tree)
    image(tree / data.test.pixels.name(0), 77)
    with pytest.raises(DigestError, match=rf"held-out records .* 1 changed \({data.test.pixels.name(0)}\)"):
        manifest.check(described(tree)[0])


def test_files_that_vanish_or_join_are_noticed(tree, path):
    _, manifest = described(tree)
    (tree / path).rename(tree / "photo" / "cat" / "new.png")
    with pytest.raises(DigestError, match=r"vanished \(|joined \("):
        manifest.check(described(tree)[0])


def test_a_file_in_another_class_is_noticed(tree):
    data, manifest = described(tree)
    other = data.train.take(np.arange(len(data.train)))
    labels = other.labels.copy()
    labels[2] = 1 - labels[2]
    changed = datasets.DataSet(data.name, datasets.Images(other.pixels, labels, other.domains, *names(data)), data.test)
    with pytest.raises(DigestError, match=rf"1 have another class or domain \({data.train.pixels.name(2)}\)"):
        manifest.check(changed)


def test_another_order_or_other_names_are_noticed(tree):
    data, manifest = described(tree)
    with pytest.raises(DigestError, match="their order is another"):
        manifest.check(datasets.DataSet(data.name, data.train.take(np.arange(len(data.train))[::-1]), data.test))
    (tree / "photo" / "owl").mkdir()
    with pytest.raises(DigestError, match="classes or domains of 'folder:pets' are others"):
        manifest.check(described(tree)[0])


def names(data):
    return data.train.class_names, data.train.domain_names


def test_pictures_that_are_there_twice_are_counted(tree):
    assert described(tree)[1].copies() == 1
    first, second = (tree / "photo" / "cat" / f"{i:03d}.png" for i in (0, 1))
    second.write_bytes(first.read_bytes())
    data, manifest = described(tree)
    shared = {data.train.pixels.name(i) for i in range(len(data.train))} >= {"photo/cat/000.png", "photo/cat/001.png"}
    assert manifest.copies() == (2 if shared else 1)
    (tree / "sketch" / "dog" / "000.png").write_bytes((tree / data.test.pixels.name(0)).read_bytes())
    leaked = described(tree)[1].leaked()
    assert data.test.pixels.name(0) in leaked


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version":1,"digest":"","manifest":{}}'])
def test_what_is_no_manifest_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match="is no manifest of version 1"):
        Manifest.read(tmp_path / "manifest.json")


def test_a_manifest_of_another_version_or_with_another_content_is_refused(tree, tmp_path):
    file = tmp_path / "manifest.json"
    described(tree)[1].write(file)
    written = json.loads(file.read_text())
    file.write_text(json.dumps({**written, "version": 2}))
    with pytest.raises(DataError, match="its version is 2"):
        Manifest.read(file)
    written["manifest"]["clients"][0].pop()
    file.write_text(json.dumps(written))
    with pytest.raises(DigestError, match="it was changed"):
        Manifest.read(file)


def test_a_place_that_cannot_be_read_or_written_is_named(tree, tmp_path):
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        Manifest.read(tmp_path / "nothing.json")
    with pytest.raises(DataError, match=r"cannot be written \(No such file"):
        described(tree)[1].write(tmp_path / "no" / "where.json")
