"""Data sets in the format of Hugging Face's ``datasets``, from a folder that ``save_to_disk`` wrote.

The extra ``securefed[huggingface]`` brings the library. Nothing is downloaded: on a machine with a network,
``datasets.load_dataset(NAME).save_to_disk(FOLDER)`` makes the folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from securefed.data.images import DataSet, Images
from securefed.data.pictures import Picture, Pictures
from securefed.data.selection import split
from securefed.data.world import Labels
from securefed.errors import ConfigError, DataError

DOMAIN = "domain"
"""The column of domains, if there is one: texts or named classes."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Column(Pictures):
    """A column of images that are decoded when they are asked for.

    Attributes:
        rows: A data set whose images are not decoded by its own library.
        column: Name of the column.
        source: Where the rows come from, for errors.
    """

    rows: Any
    column: str
    source: str

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __getitem__(self, index: int) -> Picture:
        """Read one row."""
        image = self.rows[index][self.column]
        name = f"{self.source}, row {index}"
        if image is None:
            raise DataError(f"image {name} is missing; remove the row")
        if image["bytes"] is not None:
            return Picture(name, image["bytes"])
        try:
            return Picture(name, Path(image["path"]).read_bytes())
        except (OSError, TypeError) as error:
            raise DataError(f"image {name} cannot be read ({error}); save the data set with its images") from error

    def name(self, index: int) -> str:
        """Return the row's place."""
        return f"{self.source}/{index}"


def load(folder: Path, name: str, *, seed: int) -> DataSet:
    """Return a saved data set, without decoding an image.

    A split ``test`` is held out, else ``validation``; without either, a fifth of every class and domain is.

    Args:
        folder: What ``save_to_disk`` wrote.
        name: Of the data set.
        seed: Of the split, if there is none.

    Raises:
        ConfigError: If the library is not installed.
        DataError: If the folder holds no data set with one column of images and one of named classes.
    """
    saved = _saved(folder, name)
    parts: dict[str, Any] = dict(saved) if isinstance(saved, dict) else {"train": saved}
    held_out = next((part for part in ("test", "validation") if part in parts), None)
    domains = _domain_names(parts, name)
    images = {part: _images(rows, f"{name}/{part}", domains) for part, rows in parts.items()}
    test = images.pop(held_out) if held_out is not None and len(images) > 1 else None
    first, *rest = images.values()
    for other in rest:
        first = first.joined(other)
    return split(name, first, seed=seed) if test is None else DataSet(name, first, test)


def _saved(folder: Path, name: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(
            f"data set {name!r} needs Hugging Face's library; install it with: pip install 'securefed[huggingface]'"
        ) from error
    try:
        return datasets.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} holds no data set that was saved ({error}); nothing is downloaded. On a machine with a "
            "network, datasets.load_dataset(NAME).save_to_disk(FOLDER) makes one"
        ) from error


def _images(rows: Any, source: str, domain_names: tuple[str, ...]) -> Images:
    import datasets

    column = _only(rows.features, datasets.Image, "images", source)
    label = _only(
        {name: kind for name, kind in rows.features.items() if name != DOMAIN}, datasets.ClassLabel, "classes", source
    )
    labels = np.array(rows[label][:], np.int64)
    if len(labels) and labels.min() < 0:
        raise DataError(f"{source} has rows without a class (label {labels.min()}); remove them")
    return Images(
        pixels=Column(rows.cast_column(column, datasets.Image(decode=False)), column, source),
        labels=labels,
        domains=_domains(rows, domain_names),
        class_names=tuple(name.replace("_", " ") for name in rows.features[label].names),
        domain_names=domain_names,
    )


def _only(features: Any, kind: type, what: str, source: str) -> str:
    """Return the one column of a kind."""
    found = [name for name, feature in features.items() if isinstance(feature, kind)]
    if len(found) != 1:
        raise DataError(
            f"{source} has {len(found)} columns of {what} ({', '.join(found) or 'none'}); exactly one is needed. "
            "Remove or cast columns before saving it"
        )
    return found[0]


def _domain_names(parts: dict[str, Any], name: str) -> tuple[str, ...]:
    """Return the names of the domains of all parts, or the data set's own if it has none."""
    features = [rows.features for rows in parts.values()]
    if not all(DOMAIN in feature for feature in features):
        return (name,)
    named = getattr(features[0][DOMAIN], "names", None)
    return tuple(named or sorted({str(value) for rows in parts.values() for value in rows[DOMAIN]}))


def _domains(rows: Any, names: tuple[str, ...]) -> Labels:
    if DOMAIN not in rows.features or len(names) == 1:
        return np.zeros(len(rows), np.int64)
    if hasattr(rows.features[DOMAIN], "names"):
        return np.array(rows[DOMAIN][:], np.int64)
    where = {name: index for index, name in enumerate(names)}
    return np.array([where[str(value)] for value in rows[DOMAIN]], np.int64)
