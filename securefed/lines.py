"""A file of JSON lines that grows while a run goes on, and goes on growing when the run is resumed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, final


@final
@dataclass(frozen=True, slots=True)
class Seen:
    """What is left of a message once it is gone: enough to recognise it.

    Attributes:
        size: Its bytes.
        sha256: Their SHA-256, 64 hexadecimal digits.
    """

    size: int
    sha256: str

    @classmethod
    def of(cls, message: bytes) -> Self:
        """Look at a message."""
        return cls(len(message), hashlib.sha256(message).hexdigest())


@final
class Lines:
    """A file of JSON lines; half a line that a dying process left at the end is taken away.

    Attributes:
        last: The last line; nothing in a new file.
    """

    def __init__(self, path: Path) -> None:
        whole, newline, _ = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
        self.last: dict[str, Any] = json.loads(whole.splitlines()[-1]) if whole else {}
        self._file = path.open("a", encoding="utf-8")
        self._file.truncate(len(whole + newline))

    def append(self, **values: object) -> None:
        """Write one line, and hand it to the operating system at once."""
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()
        self.last = values

    def message(self, number: int, *message: *tuple[str, str, str, bytes]) -> None:
        """Write down a message of a round: its phase, client, direction, size and SHA-256."""
        phase, client, direction, content = message
        self.seen(number, phase, client, direction, Seen.of(content))

    def seen(self, number: int, *message: *tuple[str, str, str, Seen]) -> None:
        """Write down a message of a round that is gone already."""
        phase, client, direction, seen = message
        sizes = {"bytes": seen.size, "sha256": seen.sha256}
        self.append(round=number, phase=phase, client=client, direction=direction, **sizes)

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()
