"""Which records each client holds and what is in them, on disk: a run that can be repeated exactly.

A manifest names every record with the SHA-256 of its content, so a file that changed, vanished or joined is noticed
before anything is trained on it. It belongs to whoever holds the data. Neither it nor its digest is for others: with
either, somebody who knows all records but one could make sure of the last.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Self, final

import numpy as np

from securefed.data.images import DataSet, Images
from securefed.data.shots import Parts
from securefed.errors import DataError, DigestError

VERSION = 1

SHOWN = 3
"""Names that an error shows of many."""


class Record(NamedTuple):
    """One image.

    Attributes:
        name: Path below the folder, or position in an array.
        sha256: Of the file, or of shape and pixels.
        label: Index into the class names.
        domain: Index into the domain names.
    """

    name: str
    sha256: str
    label: int
    domain: int


@final
@dataclass(frozen=True, slots=True)
class Manifest:
    """A data set, record by record, and how it is parted.

    Attributes:
        data: Name of the data set.
        partition: How it was asked to be parted.
        seed: Of split and partition.
        class_names: In the order of labels.
        domain_names: In the order of domains.
        train: Records that clients hold.
        test: Held-out records.
        clients: Positions of each client's records in ``train``.
    """

    data: str
    partition: str
    seed: int
    class_names: tuple[str, ...]
    domain_names: tuple[str, ...]
    train: tuple[Record, ...]
    test: tuple[Record, ...]
    clients: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, data: DataSet, parts: Parts, *, partition: str, seed: int) -> Self:
        """Describe a data set and its partition; every record is read once.

        Raises:
            DataError: If a record cannot be read.
        """
        return cls(
            data=data.name,
            partition=partition,
            seed=seed,
            class_names=data.train.class_names,
            domain_names=data.train.domain_names,
            train=_records(data.train),
            test=_records(data.test),
            clients=tuple(tuple(int(i) for i in part) for part in parts),
        )

    @property
    def parts(self) -> Parts:
        """Return positions of each client's records, as :func:`securefed.data.partition.partition` did."""
        return tuple(np.array(client, np.int64) for client in self.clients)

    @property
    def digest(self) -> str:
        """SHA-256 of everything above, in hexadecimal."""
        return hashlib.sha256(self._json().encode()).hexdigest()

    def copies(self) -> int:
        """Return how often the most frequent training record occurs, by its content; 1 if all differ.

        What protects one record does not protect a picture that is there twice.
        """
        contents = [record.sha256 for record in self.train]
        return int(np.unique(contents, return_counts=True)[1].max()) if contents else 0

    def leaked(self) -> tuple[str, ...]:
        """Return the names of held-out records whose content is among the training records."""
        known = {record.sha256 for record in self.train}
        return tuple(record.name for record in self.test if record.sha256 in known)

    def check(self, data: DataSet) -> None:
        """Refuse a data set that is not, record by record, the one that was described.

        Raises:
            DataError: If a record cannot be read.
            DigestError: If records changed, vanished, joined or moved; the message names some.
        """
        if (data.train.class_names, data.train.domain_names) != (self.class_names, self.domain_names):
            raise DigestError(f"classes or domains of {self.data!r} are others than when it was parted; restore them")
        for part, known, images in (("training", self.train, data.train), ("held-out", self.test, data.test)):
            if (found := _records(images)) != known:
                raise DigestError(
                    f"{part} records of {self.data!r} are others than when it was parted: "
                    f"{_differences(known, found)}. Restore them, or part the data anew and count it as another run"
                )

    def write(self, path: Path) -> None:
        """Write a file that only its owner can read.

        Raises:
            DataError: If it cannot be written.
        """
        content = f'{{"version":{VERSION},"digest":"{self.digest}","manifest":{self._json()}}}\n'
        try:
            with open(path, "w", encoding="utf-8", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
                file.write(content)
        except OSError as error:
            raise DataError(f"manifest {path} cannot be written ({error.strerror})") from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what :meth:`write` wrote.

        Raises:
            DataError: If there is no such file, or it is no manifest.
            DigestError: If it was changed.
        """
        try:
            outer = json.loads(path.read_text(encoding="utf-8"))
            if outer["version"] != VERSION:
                raise ValueError(f"its version is {outer['version']}")
            known, manifest = outer["digest"], _parsed(cls, outer["manifest"])
        except OSError as error:
            raise DataError(f"manifest {path} cannot be read ({error.strerror})") from error
        except (ValueError, LookupError, TypeError) as error:
            raise DataError(f"{path} is no manifest of version {VERSION} ({error}); write it anew") from error
        if manifest.digest != known:
            raise DigestError(f"manifest {path} has digest {manifest.digest}, but says {known}: it was changed")
        return manifest

    def _json(self) -> str:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))


def _parsed(kind: type[Manifest], values: dict[str, Any]) -> Manifest:
    lists = {name: tuple(values[name]) for name in ("class_names", "domain_names")}
    records = {part: tuple(Record(*row) for row in values[part]) for part in ("train", "test")}
    clients = tuple(tuple(client) for client in values["clients"])
    return kind(**{**values, **lists, **records, "clients": clients})


def _records(images: Images) -> tuple[Record, ...]:
    return tuple(
        Record(*_named(images, i), label=int(images.labels[i]), domain=int(images.domains[i]))
        for i in range(len(images))
    )


def _named(images: Images, index: int) -> tuple[str, str]:
    if not isinstance(images.pixels, np.ndarray):
        return images.pixels.name(index), images.pixels[index].sha256
    pixels = images.pixels[index]
    return str(index), hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _differences(known: tuple[Record, ...], found: tuple[Record, ...]) -> str:
    """Say what became of the records that differ."""
    before, after = {r.name: r for r in known}, {r.name: r for r in found}
    both = before.keys() & after.keys()
    groups = {
        "changed": [name for name in both if before[name].sha256 != after[name].sha256],
        "have another class or domain": [name for name in both if before[name][2:] != after[name][2:]],
        "vanished": before.keys() - after.keys(),
        "joined": after.keys() - before.keys(),
    }
    said = [f"{len(names)} {what} ({_some(sorted(names))})" for what, names in groups.items() if names]
    return ", ".join(said) or "their order is another"


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
