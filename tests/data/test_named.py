"""Published data sets in the layout that torchvision expects, written in miniature."""

import json
import pickle

import numpy as np
import pytest
import scipy.io
from torchvision import datasets as published

from securefed.data import datasets, named
from securefed.errors import ConfigError, DataError
from tests.data.trees import grow, image


def lines(path, texts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in texts))


def cifar(root, monkeypatch, kind="CIFAR10"):
    """Six images; the published sums of the files do not hold for these."""
    whole = getattr(published, kind)
    folder = root / whole.base_folder
    folder.mkdir()
    labels = {"CIFAR10": "labels", "CIFAR100": "fine_labels"}[kind]
    names = {"CIFAR10": ("label_names", ["airplane", "cat"]), "CIFAR100": ("fine_label_names", ["maple_tree", "bee"])}
    monkeypatch.setattr(whole, "train_list", [["one", None]])
    monkeypatch.setattr(whole, "test_list", [["two", None]])
    monkeypatch.setattr(whole, "meta", {**whole.meta, "md5": None})
    for name, count in (("one", 4), ("two", 2)):
        pixels = np.random.default_rng(count).integers(0, 256, (count, 3072), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": pixels, labels: [i % 2 for i in range(count)]}))
    (folder / whole.meta["filename"]).write_bytes(pickle.dumps({names[kind][0]: names[kind][1]}))


def cifar100(root, monkeypatch):
    cifar(root, monkeypatch, "CIFAR100")


def eurosat(root, _):
    grow(root / "eurosat" / "2750", ["AnnualCrop", "SeaLake"], ending="jpg")


def dtd(root, _):
    grow(root / "dtd" / "dtd" / "images", ["banded", "polka-dotted"], count=3)
    for part, number in (("train", 0), ("val", 1), ("test", 2)):
        names = [f"{name}/{number:03d}.png" for name in ("polka-dotted", "banded")]
        lines(root / "dtd" / "dtd" / "labels" / f"{part}1.txt", names)


def flowers(root, monkeypatch):
    folder = root / "flowers-102"
    for number in range(1, 7):
        image(folder / "jpg" / f"image_{number:05d}.jpg", number)
    files = {key: (file, None) for key, (file, _) in published.Flowers102._file_dict.items()}
    monkeypatch.setattr(published.Flowers102, "_file_dict", files)
    scipy.io.savemat(folder / "imagelabels.mat", {"labels": np.array([60, 1, 60, 102, 1, 1])})
    scipy.io.savemat(folder / "setid.mat", {"trnid": [1, 5], "valid": [2, 6], "tstid": [3, 4]})


def food(root, _):
    folder = root / "food-101"
    grow(folder / "images", ["apple_pie", "hot_dog"], count=3, ending="jpg")
    for part, numbers in (("train", (0, 1)), ("test", (2,))):
        listed = {name: [f"{name}/{i:03d}" for i in numbers] for name in ("hot_dog", "apple_pie")}
        lines(folder / "meta" / f"{part}.json", [json.dumps(listed)])


def pets(root, _):
    folder = root / "oxford-iiit-pet"
    for name, numbers in (("Abyssinian", (1, 2)), ("american_bulldog", (1, 2))):
        for number in numbers:
            image(folder / "images" / f"{name}_{number}.jpg", number)
    for part, number in (("trainval", 1), ("test", 2)):
        lines(
            folder / "annotations" / f"{part}.txt", [f"Abyssinian_{number} 1 1 1", f"american_bulldog_{number} 2 2 1"]
        )


def caltech(root, _):
    folder = root / "caltech101" / "101_ObjectCategories"
    for name in ("BACKGROUND_Google", "Faces", "Faces_easy", "airplanes", "ceiling_fan"):
        for number in range(1, 6):
            image(folder / name / f"image_{number:04d}.jpg", number)


def aircraft(root, _):
    folder = root / "fgvc-aircraft-2013b" / "data"
    lines(folder / "variants.txt", ["707-320", "F/A-18"])
    for part, numbers in (("trainval", ("01", "02")), ("test", ("03",))):
        lines(folder / f"images_variant_{part}.txt", [f"{number} F/A-18" for number in numbers])
        for number in numbers:
            image(folder / "images" / f"{number}.jpg", int(number))


def cars(root, _):
    folder = root / "stanford_cars"
    (folder / "devkit").mkdir(parents=True)
    names = np.array(["AM General Hummer SUV 2000", "Acura RL Sedan 2012"], dtype=object)
    scipy.io.savemat(folder / "devkit" / "cars_meta.mat", {"class_names": names})
    kind = [("class", "u1"), ("fname", "O")]
    for part, file in (("train", "devkit/cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        rows = np.array([(2, "00001.jpg"), (1, "00002.jpg")], dtype=kind)
        scipy.io.savemat(folder / file, {"annotations": rows})
        for number in (1, 2):
            image(folder / f"cars_{part}" / f"{number:05d}.jpg", number)


def sun(root, _):
    folder = root / "SUN397"
    for name in ("a/abbey", "a/apartment_building/outdoor"):
        for number in range(5):
            image(folder / name / f"sun_{number}.jpg", number)
    lines(folder / "ClassName.txt", ["/a/abbey", "/a/apartment_building/outdoor"])


MADE = {
    "CIFAR10": (cifar, ("airplane", "cat"), 4, 2),
    "CIFAR100": (cifar100, ("maple tree", "bee"), 4, 2),
    "EuroSAT": (eurosat, ("annual crop land", "sea or lake"), 8, 2),
    "DTD": (dtd, ("banded", "polka-dotted"), 4, 2),
    "Flowers102": (flowers, None, 4, 2),
    "Food101": (food, ("apple pie", "hot dog"), 4, 2),
    "OxfordIIITPet": (pets, ("Abyssinian", "American Bulldog"), 2, 2),
    "Caltech101": (caltech, ("face", "airplane", "ceiling fan"), 12, 3),
    "FGVCAircraft": (aircraft, ("707-320", "F/A-18"), 2, 1),
    "StanfordCars": (cars, ("2000 AM General Hummer SUV", "2012 Acura RL Sedan"), 2, 2),
    "SUN397": (sun, ("abbey", "outdoor apartment building"), 8, 2),
}


@pytest.fixture(params=MADE)
def kind(request, tmp_path, monkeypatch):
    MADE[request.param][0](tmp_path, monkeypatch)
    return request.param


def shown(images):
    return {images.pixels.name(i): images.class_names[images.labels[i]] for i in range(len(images))}


def test_every_named_set_is_tried():
    assert set(MADE) == set(named.KINDS)


def test_names_and_numbers_are_those_that_were_published(kind, tmp_path):
    data = datasets.load(f"torchvision:{kind}", seed=0, root=tmp_path)
    _, names, train, test = MADE[kind]
    assert (len(data.train), len(data.test)) == (train, test)
    assert data.train.class_names == data.test.class_names
    assert names is None or data.train.class_names == names
    assert data.train.domain_names == (kind,)
    for images in (data.train, data.test):
        first = images.pixels[0]
        assert (first if isinstance(first, np.ndarray) else first.decode()).shape[2] == 3


def test_no_image_is_both_trained_on_and_held_out(kind, tmp_path):
    data = datasets.load(f"torchvision:{kind}", seed=0, root=tmp_path)
    if kind.startswith("CIFAR"):
        assert not {x.tobytes() for x in data.train.pixels} & {x.tobytes() for x in data.test.pixels}
    else:
        assert not shown(data.train).keys() & shown(data.test).keys()


def test_labels_say_what_the_images_show(tmp_path, monkeypatch):
    for make in (flowers, pets, cars, aircraft, sun, caltech, dtd):
        make(tmp_path, monkeypatch)
    both = {}
    for kind in ("Flowers102", "OxfordIIITPet", "StanfordCars", "FGVCAircraft", "SUN397", "Caltech101", "DTD"):
        data = datasets.load(f"torchvision:{kind}", seed=0, root=tmp_path)
        both |= shown(data.train) | shown(data.test)
    assert both["flowers-102/jpg/image_00001.jpg"] == "pink-yellow dahlia"
    assert both["flowers-102/jpg/image_00002.jpg"] == "pink primrose"
    assert both["flowers-102/jpg/image_00004.jpg"] == "blackberry lily"
    assert both["oxford-iiit-pet/images/american_bulldog_2.jpg"] == "American Bulldog"
    assert both["stanford_cars/cars_train/00001.jpg"] == "2012 Acura RL Sedan"
    assert both["fgvc-aircraft-2013b/data/images/03.jpg"] == "F/A-18"
    assert both["SUN397/a/apartment_building/outdoor/sun_3.jpg"] == "outdoor apartment building"
    assert both["caltech101/101_ObjectCategories/ceiling_fan/image_0005.jpg"] == "ceiling fan"
    assert both["caltech101/101_ObjectCategories/Faces/image_0001.jpg"] == "face"
    assert both["dtd/dtd/images/polka-dotted/001.png"] == "polka-dotted"
    assert not any("Faces_easy" in path or "BACKGROUND" in path for path in both)


def test_files_come_in_the_order_of_their_names_whatever_the_file_system_says(tmp_path, monkeypatch):
    sun(tmp_path, None)
    from pathlib import Path

    ordinary = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda self, pattern: reversed(sorted(ordinary(self, pattern))))
    data = datasets.load("torchvision:SUN397", seed=0, root=tmp_path)
    paths = [data.train.pixels.name(i) for i in range(len(data.train))]
    assert paths == sorted(paths)


@pytest.mark.parametrize("kind", MADE)
def test_a_set_that_is_not_there_is_refused_with_what_to_bring_and_nothing_is_made(kind, tmp_path):
    with pytest.raises(
        DataError, match=f"'torchvision:{kind}' is not whole below .* nothing is downloaded. Bring"
    ) as e:
        datasets.load(f"torchvision:{kind}", seed=0, root=tmp_path)
    assert str(tmp_path / named.KINDS[kind].place) in str(e.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("DTD", "dtd/dtd/labels/val1.txt"),
        ("Food101", "food-101/meta/test.json"),
        ("StanfordCars", "stanford_cars/cars_test_annos_withlabels.mat"),
        ("Flowers102", "flowers-102/setid.mat"),
        ("SUN397", "SUN397/ClassName.txt"),
        ("OxfordIIITPet", "oxford-iiit-pet/annotations/test.txt"),
        ("FGVCAircraft", "fgvc-aircraft-2013b/data/variants.txt"),
        ("CIFAR10", "cifar-10-batches-py/two"),
    ],
)
def test_a_set_of_which_a_file_is_missing_is_refused(kind, gone, tmp_path, monkeypatch):
    MADE[kind][0](tmp_path, monkeypatch)
    (tmp_path / gone).unlink()
    with pytest.raises(DataError, match=f"'torchvision:{kind}' is not whole"):
        datasets.load(f"torchvision:{kind}", seed=0, root=tmp_path)


def test_an_altered_pickle_is_never_opened(tmp_path, monkeypatch):
    """CIFAR's files are pickles, which can run code; torchvision checks their published sums first."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name, _ in (*published.CIFAR10.train_list, *published.CIFAR10.test_list, ["batches.meta", None]):
        (folder / name).write_bytes(b"something else")
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("a pickle was opened"))
    with pytest.raises(DataError, match="corrupted"):
        datasets.load("torchvision:CIFAR10", seed=0, root=tmp_path)


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="torchvision data set 'Flower102' is unknown; did you mean 'Flowers102'"):
        datasets.load("torchvision:Flower102", seed=0, root=tmp_path)
