"""Image folders in the forms in which people have them, and what is said about the others."""

import json
from collections import Counter

import numpy as np
import pytest

from securefed.data import datasets, folders, pictures
from securefed.data.pictures import Files
from securefed.errors import ConfigError, DataError
from tests.data.trees import grow, image


def described(images):
    """Return what an image shows and where it lies, by its path."""
    return {
        images.pixels.name(i): (images.domain_names[images.domains[i]], images.class_names[images.labels[i]])
        for i in range(len(images))
    }


def everything(data):
    assert not described(data.train).keys() & described(data.test).keys()
    return described(data.train) | described(data.test)


def test_a_folder_for_each_class(tmp_path):
    grow(tmp_path / "pets", ["cat", "Hot_Dog"])
    data = datasets.load("folder:pets", seed=0, root=tmp_path)
    assert data.train.class_names == ("Hot Dog", "cat")
    assert data.train.domain_names == ("pets",)
    assert everything(data)["Hot_Dog/003.png"] == ("pets", "Hot Dog")
    assert (len(data.train), len(data.test)) == (8, 2)


@pytest.mark.parametrize(
    ("around", "domains"),
    [
        ("kfold", ["art_painting", "cartoon", "photo", "sketch"]),
        ("OfficeHomeDataset_10072016", ["Art", "Clipart", "Product", "Real World"]),
        ("", ["Caltech101", "LabelMe", "SUN09", "VOC2007"]),
        ("", ["clipart", "infograph", "painting", "quickdraw", "real", "sketch"]),
    ],
)
def test_domain_adaptation_sets_as_they_unpack(tmp_path, around, domains):
    grow(tmp_path / around, [f"{domain}/{name}" for domain in domains for name in ("dog", "alarm_clock")])
    (tmp_path / "clipart_train.txt").write_text("clipart/dog/000.png 0\n")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "photo.txt").write_text("1")
    data = folders.load(tmp_path, "set", seed=0)
    assert data.train.domain_names == tuple(domains)
    assert data.train.class_names == ("alarm clock", "dog")
    path = "/".join(filter(None, [around, domains[1], "dog", "004.png"]))
    assert everything(data)[path] == (domains[1], "dog")
    assert len(everything(data)) == 5 * 2 * len(domains)


def test_a_fifth_of_every_class_and_domain_is_held_out_by_the_seed(tmp_path):
    grow(tmp_path, ["photo/cat", "photo/dog", "sketch/cat", "sketch/dog"], count=10)
    first, again, other = (folders.load(tmp_path, "set", seed=seed) for seed in (1, 1, 2))
    assert set(Counter(described(first.test).values()).values()) == {2}
    assert described(first.test) == described(again.test) != described(other.test)


@pytest.mark.parametrize(
    ("parts", "held_out"),
    [
        (["train", "test"], "test"),
        (["train", "val"], "val"),
        (["Training", "validation", "Test"], "Test"),
    ],
)
@pytest.mark.parametrize("form", ["{part}/{name}", "{part}/photo/{name}", "photo/{part}/{name}", "data/{part}/{name}"])
def test_a_split_on_disk_is_kept(tmp_path, parts, held_out, form):
    grow(tmp_path, [form.format(part=part, name=name) for part in parts for name in ("cat", "dog")])
    data = folders.load(tmp_path, "set", seed=0)
    assert data.train.class_names == ("cat", "dog")
    assert len(data.train.domain_names) == 1
    assert {f"/{held_out}/" in f"/{path}" for path in described(data.test)} == {True}
    assert {f"/{held_out}/" in f"/{path}" for path in described(data.train)} == {False}
    assert len(everything(data)) == 10 * len(parts)


def test_the_second_copy_that_vlcs_brings_is_left_out(tmp_path):
    grow(tmp_path, [f"CALTECH/{part}/{k}" for part in ("full", "train", "crossval", "test") for k in range(2)])
    data = folders.load(tmp_path, "set", seed=0)
    assert not any("/full/" in path for path in everything(data))
    assert (len(data.train), len(data.test)) == (20, 10)


def test_a_class_may_be_called_train(tmp_path):
    grow(tmp_path, ["photo/train", "photo/car", "sketch/train", "sketch/car"])
    assert folders.load(tmp_path, "set", seed=0).train.class_names == ("car", "train")


def test_only_a_test_part_is_split_like_anything_else(tmp_path):
    grow(tmp_path, ["test/cat", "test/dog"])
    assert len(folders.load(tmp_path, "set", seed=0).train) == 8


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    grow(tmp_path, ["cat", "dog"])
    for name in ("cat/._000.png", "cat/.DS_Store", "cat/Thumbs.db", "__MACOSX/cat/000.png", "cat/list.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert len(everything(folders.load(tmp_path, "set", seed=0))) == 10


def test_endings_may_be_capitals_and_folders_may_be_links(tmp_path):
    grow(tmp_path / "elsewhere", ["cat"], ending="JPG")
    grow(tmp_path / "set", ["dog"])
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "elsewhere" / "cat")
    (tmp_path / "set" / "dog" / "again").symlink_to(tmp_path / "set", target_is_directory=True)
    with pytest.raises(DataError, match="mixes depths"):
        folders.load(tmp_path / "set", "set", seed=0)
    (tmp_path / "set" / "dog" / "again").unlink()
    assert "cat/000.JPG" in everything(folders.load(tmp_path / "set", "set", seed=0))


def test_an_empty_folder_is_a_class_without_records_here(tmp_path):
    grow(tmp_path, ["cat", "dog"])
    (tmp_path / "bird").mkdir()
    data = folders.load(tmp_path, "set", seed=0)
    assert data.train.class_names == ("bird", "cat", "dog")
    assert set(data.train.labels.tolist()) == {1, 2}


def test_folders_that_are_codes_get_their_names_from_a_file(tmp_path):
    grow(tmp_path, ["n02123045", "n02099601"])
    (tmp_path / folders.NAMES).write_text(json.dumps({"n02123045": "tabby cat", "n02099601": "golden retriever"}))
    assert folders.load(tmp_path, "set", seed=0).train.class_names == ("golden retriever", "tabby cat")


@pytest.mark.parametrize("content", ["{", "[]", '{"cat": 3}'])
def test_a_file_of_names_that_names_nothing_is_refused(tmp_path, content):
    grow(tmp_path, ["cat", "dog"])
    (tmp_path / folders.NAMES).write_text(content)
    with pytest.raises(DataError, match=r"classes\.json .* folder names to class names"):
        folders.load(tmp_path, "set", seed=0)


def test_two_folders_of_one_class_are_refused(tmp_path):
    grow(tmp_path, ["hot_dog", "hot dog"])
    with pytest.raises(DataError, match="two folders for class 'hot dog'; merge or rename one"):
        folders.load(tmp_path, "set", seed=0)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no images; put them there as class/image.jpg"),
        (["readme.txt"], "holds no images"),
        (["0.png", "1.png"], r"other ones than class/image\.jpg"),
        (["cat/0.png", "photo/dog/0.png"], "mixes depths .* found cat/0.png and photo/dog/0.png"),
        (["a/photo/cat/0.png", "b/photo/cat/0.png"], "mixes depths or has other ones"),
    ],
)
def test_other_forms_are_refused_with_examples(tmp_path, files, message):
    for k, file in enumerate(files):
        if file.endswith(".txt"):
            (tmp_path / file).write_text("")
        else:
            image(tmp_path / file, k)
    with pytest.raises(DataError, match=message):
        folders.load(tmp_path, "set", seed=0)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"pets cannot be read \(No such file or directory\); put the images there"):
        datasets.load("folder:pets", seed=0, root=tmp_path)


def test_an_absolute_path_needs_no_root(tmp_path):
    grow(tmp_path, ["cat", "dog"])
    assert len(datasets.load(f"folder:{tmp_path}", seed=0).train) == 8


def test_loading_decodes_nothing_and_taking_neither(tmp_path, monkeypatch):
    grow(tmp_path, ["cat", "dog"])
    monkeypatch.setattr(Files, "__getitem__", lambda *_: pytest.fail("a file was read"))
    data = folders.load(tmp_path, "set", seed=0)
    assert data.train.take(np.array([3, 3])).pixels.name(1) == data.train.pixels.name(3)


def test_classes_and_records_are_chosen_as_for_other_sets(tmp_path):
    grow(tmp_path, ["cat", "dog", "owl"], count=10)
    data = datasets.load("folder:.", seed=0, root=tmp_path, classes=["owl", "cat"], records=7)
    assert data.train.class_names == data.test.class_names == ("owl", "cat")
    assert (len(data.train), len(data.test)) == (7, 4)
    assert all(path.split("/")[0] == shown for path, (_, shown) in everything(data).items())
    again, other = (datasets.load("folder:.", seed=seed, root=tmp_path, records=7) for seed in (0, 1))
    assert described(again.train) != described(other.train)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"records": 9}, "9 records were asked for; 'folder:.' has 8 outside the held-out split"),
        ({"records": 0}, "records is 0"),
        ({"classes": ["cow"]}, "class 'cow' is unknown"),
        ({"classes": ["cat", "cat"]}, "name at least one, and each once"),
        ({"classes": []}, "classes are none"),
    ],
)
def test_what_is_not_there_cannot_be_chosen(tmp_path, arguments, message):
    grow(tmp_path, ["cat", "dog"])
    with pytest.raises(ConfigError, match=message):
        datasets.load("folder:.", seed=0, root=tmp_path, **arguments)


def test_all_bad_images_of_a_folder_are_named_at_once(tmp_path):
    grow(tmp_path, ["cat", "dog"])
    (tmp_path / "cat" / "001.png").write_bytes(b"")
    (tmp_path / "dog" / "002.png").write_bytes(b"GIF89a")
    gone = tmp_path / "dog" / "003.png"
    everyone = Files(tmp_path, tuple(f"{name}/{i:03d}.png" for name in ("cat", "dog") for i in range(5)))
    gone.unlink()
    found = list(pictures.problems(everyone))
    assert len(found) == 3
    for name, why, text in zip(("001", "002", "003"), ("empty", "decoded", "read"), found, strict=True):
        assert f"{name}.png" in text
        assert why in text
