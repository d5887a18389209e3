"""Pictures that are read and decoded when they are asked for: a data set as a sequence, not as an array of pixels."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from securefed.data.decode import DECODER, Pixels, decode
from securefed.data.world import Labels
from securefed.errors import DataError


@final
@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of one image file.

    Attributes:
        name: What its owner finds it by.
        data: The whole file.
    """

    name: str
    data: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def content(self) -> bytes:
        """SHA-256 of the file and the rules that decode it, 32 bytes: what :meth:`decode` depends on."""
        return hashlib.sha256(DECODER.encode() + b"\0" + self.data).digest()

    def decode(self) -> Pixels:
        """Return RGB, uint8, shape ``(height, width, 3)``.

        Raises:
            DataError: If the file holds no image that can be shown; the message names it.
        """
        return decode(self.data, self.name)


class Pictures(ABC):
    """A sequence of pictures. Each is read anew when it is asked for, so memory holds those in use."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of pictures."""

    @abstractmethod
    def __getitem__(self, index: int, /) -> Picture:
        """Read one picture.

        Raises:
            DataError: If it cannot be read.
        """

    @abstractmethod
    def name(self, index: int) -> str:
        """Return what tells a picture from the others on every machine, without reading it."""

    def take(self, indices: Labels) -> Pictures:
        """Return the pictures at the given positions, in that order."""
        return Chosen(self, indices)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Chosen(Pictures):
    """Some pictures of a sequence.

    Attributes:
        source: The sequence.
        indices: Positions in it, shape ``(n,)``.
    """

    source: Pictures
    indices: Labels = field(repr=False)

    def __len__(self) -> int:
        """Return the number of chosen pictures."""
        return len(self.indices)

    def __getitem__(self, index: int) -> Picture:
        """Read one picture."""
        return self.source[int(self.indices[index])]

    def name(self, index: int) -> str:
        """Return the picture's name in its sequence."""
        return self.source.name(int(self.indices[index]))

    def take(self, indices: Labels) -> Pictures:
        """Return pictures of the same sequence, without a chain of choices."""
        return Chosen(self.source, self.indices[indices])


@final
@dataclass(frozen=True, slots=True)
class Files(Pictures):
    """Pictures in a folder.

    Attributes:
        root: The folder.
        names: Paths below it, with forward slashes.
    """

    root: Path
    names: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.names)

    def __getitem__(self, index: int) -> Picture:
        """Read one file."""
        path = self.root / self.names[index]
        try:
            return Picture(str(path), path.read_bytes())
        except OSError as error:
            raise DataError(f"image {path} cannot be read ({error.strerror}); restore or remove it") from error

    def name(self, index: int) -> str:
        """Return the path below the folder."""
        return self.names[index]


@final
@dataclass(frozen=True, slots=True)
class Joined(Pictures):
    """Two sequences of pictures, one after the other.

    Attributes:
        first: Comes first.
        second: Comes after it.
    """

    first: Pictures
    second: Pictures

    def __len__(self) -> int:
        """Return the number of pictures of both."""
        return len(self.first) + len(self.second)

    def __getitem__(self, index: int) -> Picture:
        """Read one picture."""
        pictures, position = self._at(index)
        return pictures[position]

    def name(self, index: int) -> str:
        """Return the picture's name in its own sequence."""
        pictures, position = self._at(index)
        return pictures.name(position)

    def _at(self, index: int) -> tuple[Pictures, int]:
        before = len(self.first)
        return (self.first, index) if index < before else (self.second, index - before)


def problems(pictures: Pictures) -> Iterable[str]:
    """Yield what is wrong with each picture that cannot be used, so that all can be mended at once."""
    for index in range(len(pictures)):
        try:
            pictures[index].decode()
        except DataError as error:
            yield str(error)
