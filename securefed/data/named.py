"""Published data sets that torchvision reads, by name, with the class names that prompts are made of.

torchvision only tells which files there are and what they show; they are decoded later, one by one
(:mod:`securefed.data.decode`). Nothing is downloaded: a data set that is not there is refused with what to bring.
Parts that were published for training and validation are for training; where nobody published a split, a fifth of
every class is held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np

from securefed.data.decode import Pixels
from securefed.data.images import DataSet, Images
from securefed.data.pictures import Files, Pictures
from securefed.data.selection import split
from securefed.data.world import check_known
from securefed.errors import DataError

EUROSAT = {
    "AnnualCrop": "annual crop land",
    "Forest": "forest",
    "HerbaceousVegetation": "herbaceous vegetation land",
    "Highway": "highway or road",
    "Industrial": "industrial buildings",
    "Pasture": "pasture land",
    "PermanentCrop": "permanent crop land",
    "Residential": "residential buildings",
    "River": "river",
    "SeaLake": "sea or lake",
}
"""What a prompt calls the land uses; the folders' names are run together."""

CALTECH = {"airplanes": "airplane", "Faces": "face", "Leopards": "leopard", "Motorbikes": "motorbike"}
"""Classes that are named in the plural or like a folder."""

Part: TypeAlias = tuple[Pixels | Pictures, Sequence[int]]
"""Images and their labels."""

Found: TypeAlias = tuple[Sequence[str], Sequence[Part], Sequence[Part]]
"""Class names, parts for training and held-out parts; no held-out ones if nobody published a split."""


@final
@dataclass(frozen=True, slots=True)
class Kind:
    """How one data set is read.

    Attributes:
        read: From the root to what torchvision finds there.
        place: What must lie below the root.
        bring: What to unpack so that it does.
        spoken: From a published class name to the one in a prompt.
    """

    read: Callable[[Path], Found]
    place: str
    bring: str
    spoken: Callable[[str], str]


def load(kind: str, root: Path, name: str, *, seed: int) -> DataSet:
    """Return a published data set.

    Args:
        kind: One of :data:`KINDS`.
        root: The folder that torchvision was, or would be, given.
        name: Of the data set.
        seed: Of the split, if none was published.

    Raises:
        ConfigError: If the name is unknown.
        DataError: If its files are not there, or are others.
    """
    check_known("torchvision data set", kind, KINDS)
    how = KINDS[kind]
    try:
        if not (root / how.place).exists():
            raise FileNotFoundError("it does not exist")
        classes, train, test = how.read(root)
    except Exception as error:  # torchvision and scipy raise whatever foreign files lead them to
        raise DataError(
            f"{name!r} is not whole below {root} ({error}); nothing is downloaded. Bring {how.bring}, unpacked so "
            f"that {root / how.place} exists"
        ) from error
    names = tuple(how.spoken(published) for published in classes)
    whole = _images(train, names, kind)
    return DataSet(name, whole, _images(test, names, kind)) if test else split(name, whole, seed=seed)


def _images(parts: Sequence[Part], names: tuple[str, ...], kind: str) -> Images:
    images = [
        Images(pixels, np.array(labels, np.int64), np.zeros(len(labels), np.int64), names, (kind,))
        for pixels, labels in parts
    ]
    first, *rest = images
    for other in rest:
        first = first.joined(other)
    return first


def _files(root: Path, paths: Sequence[str], labels: Sequence[int]) -> Part:
    """Return files by their path below the root; sorted, since a file system may list them in any order."""
    pairs = sorted(zip((Path(path).relative_to(root).as_posix() for path in paths), map(int, labels), strict=True))
    return Files(root, tuple(path for path, _ in pairs)), [label for _, label in pairs]


def _listed(root: Path, dataset: Any) -> Part:
    """Return the files of a torchvision data set that was made with ``loader=str``: it gives paths, not images."""
    pairs = [dataset[i] for i in range(len(dataset))]
    return _files(root, [path for path, _ in pairs], [label for _, label in pairs])


def _cifar(kind: str) -> Callable[[Path], Found]:
    def read(root: Path) -> Found:
        from torchvision import datasets

        train, test = (getattr(datasets, kind)(root, train=train) for train in (True, False))
        return train.classes, [(train.data, train.targets)], [(test.data, test.targets)]

    return read


def _by_split(kind: str, train: Sequence[str], test: Sequence[str]) -> Callable[[Path], Found]:
    """Return a reader of a data set whose parts torchvision calls ``split``."""

    def read(root: Path) -> Found:
        from torchvision import datasets

        parts = {name: getattr(datasets, kind)(root, split=name, loader=str) for name in (*train, *test)}
        listed = {name: _listed(root, part) for name, part in parts.items()}
        classes = parts[train[0]].classes
        if any(list(part.classes) != list(classes) for part in parts.values()):
            raise ValueError("its parts have different classes")
        return classes, [listed[name] for name in train], [listed[name] for name in test]

    return read


def _undivided(kind: str) -> Callable[[Path], Found]:
    """Return a reader of a data set that torchvision does not split."""

    def read(root: Path) -> Found:
        from torchvision import datasets

        whole = getattr(datasets, kind)(root, loader=str)
        return whole.classes, [_listed(root, whole)], []

    return read


def _pets(root: Path) -> Found:
    from torchvision.datasets import OxfordIIITPet

    train, test = (OxfordIIITPet(root, split=name) for name in ("trainval", "test"))
    parts = [_files(root, part._images, part._labels) for part in (train, test)]  # it takes no loader
    return train.classes, parts[:1], parts[1:]


def _caltech(root: Path) -> Found:
    """Read what torchvision found, without the easy faces: the same pictures as ``Faces``, cut out."""
    from torchvision.datasets import Caltech101

    whole = Caltech101(root)
    classes = [name for name in whole.categories if name != "Faces_easy"]
    folder = root / "caltech101" / "101_ObjectCategories"
    found = [(whole.categories[label], number) for label, number in zip(whole.y, whole.index, strict=True)]
    kept = [(name, number) for name, number in found if name != "Faces_easy"]
    paths = [str(folder / name / f"image_{number:04d}.jpg") for name, number in kept]
    return classes, [_files(root, paths, [classes.index(name) for name, _ in kept])], []


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _year_first(name: str) -> str:
    model, _, year = name.rpartition(" ")
    return f"{year} {model}"


def _outermost_last(name: str) -> str:
    """Return ``outdoor apartment building`` for ``apartment_building/outdoor``."""
    return _spaced(" ".join(reversed(name.split("/"))))


KINDS = {
    "CIFAR10": Kind(_cifar("CIFAR10"), "cifar-10-batches-py", "cifar-10-python.tar.gz", _spaced),
    "CIFAR100": Kind(_cifar("CIFAR100"), "cifar-100-python", "cifar-100-python.tar.gz", _spaced),
    "EuroSAT": Kind(_undivided("EuroSAT"), "eurosat/2750", "EuroSAT.zip", lambda name: EUROSAT.get(name, name)),
    "DTD": Kind(_by_split("DTD", ["train", "val"], ["test"]), "dtd/dtd", "dtd-r1.0.1.tar.gz", _spaced),
    "Flowers102": Kind(
        _by_split("Flowers102", ["train", "val"], ["test"]),
        "flowers-102/jpg",
        "102flowers.tgz, and imagelabels.mat and setid.mat beside jpg",
        lambda name: name.rstrip("?"),
    ),
    "Food101": Kind(_by_split("Food101", ["train"], ["test"]), "food-101", "food-101.tar.gz", _spaced),
    "OxfordIIITPet": Kind(_pets, "oxford-iiit-pet", "images.tar.gz and annotations.tar.gz", _spaced),
    "Caltech101": Kind(
        _caltech,
        "caltech101/101_ObjectCategories",
        "101_ObjectCategories.tar.gz",
        lambda name: CALTECH.get(name, _spaced(name)),
    ),
    "FGVCAircraft": Kind(
        _by_split("FGVCAircraft", ["trainval"], ["test"]),
        "fgvc-aircraft-2013b",
        "fgvc-aircraft-2013b.tar.gz",
        _spaced,
    ),
    "StanfordCars": Kind(
        _by_split("StanfordCars", ["train"], ["test"]),
        "stanford_cars",
        "cars_train, cars_test, devkit and cars_test_annos_withlabels.mat",
        _year_first,
    ),
    "SUN397": Kind(_undivided("SUN397"), "SUN397", "SUN397.tar.gz", _outermost_last),
}
"""By the names that torchvision has for them."""
