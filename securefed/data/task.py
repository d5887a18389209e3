"""What a federation learns from: a data set, and perhaps a domain of it that nobody trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from securefed.data import datasets
from securefed.data.images import DataSet, Images
from securefed.data.selection import narrowed, without_domain


@final
@dataclass(frozen=True, slots=True)
class Task:
    """A data set that is parted among clients, beside what shows how far it carries.

    Attributes:
        data: What clients hold, and held-out records of the same domains.
        unseen: All images of the domain that was left out; None if none was.
    """

    data: DataSet
    unseen: Images | None


def load(
    name: str,
    *,
    seed: int,
    records: int | None = None,
    classes: Sequence[str] | None = None,
    left_out: str | None = None,
    root: Path = datasets.ROOT,
) -> Task:
    """Load a data set, and leave a domain out if one is named.

    Args:
        name: As :func:`securefed.data.datasets.load` takes it.
        seed: Of splits and generated images.
        records: Training images that are left in the end; by default all there are.
        classes: Class names; by default those of the data set.
        left_out: Domain that nobody trains on.
        root: Where paths start and published data sets lie.

    Raises:
        ConfigError: If a name is unknown, or nothing would be left to train on.
        DataError: If the files are not there, or there are fewer records than asked for.
    """
    if left_out is None:
        return Task(datasets.load(name, seed=seed, records=records, classes=classes, root=root), None)
    rest, unseen = without_domain(datasets.load(name, seed=seed, classes=classes, root=root), left_out)
    return Task(narrowed(rest, seed=seed, records=records, classes=None), unseen)
