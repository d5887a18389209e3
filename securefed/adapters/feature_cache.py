"""Features on disk: what was encoded once is not encoded again.

An entry is found by the SHA-256 of a picture's content and by everything that decides what its features are: weights,
layers, transform, precision, processor and library versions. A changed pixel, weight or transform is another entry.
The content of a picture that is drawn on demand is named by all that its pixels follow from
(:mod:`securefed.data.drawn`).

Features are personal data as much as the pictures that they come from: the folder is readable by its owner alone, and
may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from securefed.errors import ConfigError

Features: TypeAlias = npt.NDArray[np.float32]

CHUNK = 4096
"""Entries of one file: what is lost at most when a machine stops."""


@final
class FeatureCache:
    """A folder of features."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def shelf(self, function: Mapping[str, object], dim: int) -> Shelf:
        """Return the entries of one way to encode.

        Args:
            function: Everything that the features depend on beside the picture, as plain values.
            dim: Length of a feature vector.

        Raises:
            ConfigError: If the folder cannot be written.
        """
        described = json.dumps(dict(function), sort_keys=True, indent=1, default=list)
        folder = self._folder / hashlib.sha256(described.encode()).hexdigest()[:32]
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            (folder / "function.json").write_text(described)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written ({error.strerror}); choose another folder") from error
        return Shelf(folder, dim)


@final
class Shelf:
    """Features that were all made in one way, by the SHA-256 of the pictures' contents.

    Every file is named by its own SHA-256; one whose content is something else is deleted and its pictures are encoded
    again. Several processes may write at once.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self._folder = folder
        self._type = np.dtype([("content", "u1", (32,)), ("features", "<f4", (dim,))])
        self._known: dict[bytes, Features] = {}
        self._new: list[tuple[bytes, Features]] = []
        for file in sorted(folder.glob("*.npy")):
            self._read(file)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._known)

    def find(self, content: bytes) -> Features | None:
        """Return features, shape ``(dim,)``, or None if they were never put here."""
        return self._known.get(content)

    def put(self, contents: Sequence[bytes], features: Features) -> None:
        """Remember features, shape ``(n, dim)``, by the contents of their pictures."""
        for content, row in zip(contents, features, strict=True):
            self._known[content] = row
            self._new.append((content, row))
        if len(self._new) >= CHUNK:
            self.save()

    def save(self) -> None:
        """Write what was put here since the last time.

        Raises:
            ConfigError: If the folder cannot be written.
        """
        if not self._new:
            return
        entries = np.zeros(len(self._new), self._type)
        entries["content"] = [np.frombuffer(content, np.uint8) for content, _ in self._new]
        entries["features"] = [row for _, row in self._new]
        buffer = io.BytesIO()
        np.save(buffer, entries)
        self._write(buffer.getvalue())
        self._new.clear()

    def _write(self, data: bytes) -> None:
        file = self._folder / f"{hashlib.sha256(data).hexdigest()}.npy"
        part = file.with_suffix(f".{os.getpid()}.part")
        try:
            with open(part, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
                out.write(data)
            part.replace(file)
        except OSError as error:
            raise ConfigError(f"{file} cannot be written ({error.strerror}); choose another folder") from error

    def _read(self, file: Path) -> None:
        """Map a file's entries, or delete it if it is not what its name says."""
        with file.open("rb") as opened:
            whole = hashlib.file_digest(opened, "sha256").hexdigest() == file.stem
        if not whole:
            file.unlink()
            return
        entries = np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
        contents = entries["content"].tobytes()
        known = (contents[at : at + 32] for at in range(0, len(contents), 32))
        self._known.update(zip(known, entries["features"], strict=True))
