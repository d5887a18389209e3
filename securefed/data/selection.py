"""Which records of a data set are used: the held-out share, some classes, some records, some domains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from securefed.data.images import DataSet, Images
from securefed.data.world import Labels, check_known
from securefed.errors import ConfigError, DataError
from securefed.rng import Source, seeded

HELD_OUT = 0.2
"""Share of each class and domain that is held out where nobody published a split."""


def split(name: str, images: Images, *, seed: int) -> DataSet:
    """Hold out a fifth of every class in every domain; of fewer than three records, none.

    Args:
        name: Of the data set.
        images: All there are.
        seed: Of the choice.
    """
    train, test = stratified(images, HELD_OUT, rng=seeded(seed, "held out"))
    return DataSet(name, images.take(train), images.take(test))


def stratified(images: Images, share: float, *, rng: Source) -> tuple[Labels, Labels]:
    """Return positions outside and inside a random share of every class in every domain, both ascending."""
    random = rng.generator()
    held = np.zeros(len(images), bool)
    groups = images.domains * len(images.class_names) + images.labels
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        held[random.permutation(own)[: round(share * len(own))]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def narrowed(data: DataSet, *, seed: int, records: int | None, classes: Sequence[str] | None) -> DataSet:
    """Return a data set with some of its classes and training records.

    Args:
        data: Whole.
        seed: Of the choice of records.
        records: Training records; by default all.
        classes: Names, in the order that their labels get; by default all.

    Raises:
        ConfigError: If a class is unknown or named twice.
        DataError: If there are fewer records than asked for.
    """
    if classes is not None:
        data = replace(data, train=_of_classes(data.train, classes), test=_of_classes(data.test, classes))
    if records is None:
        return data
    if records > len(data.train):
        raise DataError(
            f"{records} records were asked for; {data.name!r} has {len(data.train)} outside the held-out split"
        )
    chosen = seeded(seed, "records").generator().permutation(len(data.train))[:records]
    return replace(data, train=data.train.take(np.sort(chosen)))


def without_domain(data: DataSet, domain: str) -> tuple[DataSet, Images]:
    """Leave one domain out, as domain generalisation is measured.

    Returns:
        The data set without the domain, and all the domain's images (training and held-out ones), which nobody trains
        on.

    Raises:
        ConfigError: If there is no such domain, or no other one.
    """
    check_known("domain", domain, data.train.domain_names)
    index = data.train.domain_names.index(domain)
    if len(data.train.domain_names) < 2:
        raise ConfigError(f"{data.name!r} has only the domain {domain!r}; nothing would be left to train on")
    parts = (data.train, data.test)
    rest = (images.take(np.flatnonzero(images.domains != index)) for images in parts)
    left_out = (images.take(np.flatnonzero(images.domains == index)) for images in parts)
    return DataSet(data.name, *rest), next(left_out).joined(next(left_out))


def _of_classes(images: Images, classes: Sequence[str]) -> Images:
    """Return the images of the named classes; labels follow the order of the names."""
    for name in classes:
        check_known("class", name, images.class_names)
    if len(set(classes)) < len(classes) or not classes:
        raise ConfigError(f"classes are {', '.join(classes) or 'none'}; name at least one, and each once")
    new = np.full(len(images.class_names), -1, np.int64)
    new[[images.class_names.index(name) for name in classes]] = np.arange(len(classes))
    kept = images.take(np.flatnonzero(new[images.labels] >= 0))
    return replace(kept, labels=new[kept.labels], class_names=tuple(classes))
