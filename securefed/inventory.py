"""The inventory of a finished run: ``files.json``, digests of every file, signed by the server.

It makes one changed byte anywhere in the folder show, and says in which file and line. Who can sign as the server can
make another inventory; what such a party still cannot forge is what clients signed: their ledgers and their part of the
transcripts. Who replaces the roster too can make a whole run up, all parties in it included: compare the roster's root
with one that came from somewhere else.

Not in it: SQLite files and the manifest of records, which belong to the clients' owners and never leave their machines
(with its digest, somebody who knows all records but one could make sure of the last); and what is made from the run
afterwards (:data:`MADE`), which is checked by making it again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, final

from securefed.aggregation import identity
from securefed.aggregation.keys import label
from securefed.errors import ConfigError, VerificationError

NAME = "files.json"

FORMAT = "securefed-files/1"

MADE = ("report.json", "report.md", "report.html")
"""What is made from the run, again and again."""

LATER = (*MADE, "audit.json")
"""What may come to a run after its inventory was signed. An audit's result that was there before is listed."""

OWNED = re.compile(r"(ledger|journal)/[^/]+\.sqlite(-wal|-shm|-journal)?|manifest\.json")
"""Paths of the owners' files: ledgers and journals that live on, and which records a simulated client holds."""

UNFINISHED = "resume/"
"""What a run has until it is finished, and what is not its own when it is still there afterwards."""

VERSIONED = ("securefed", "numpy", "torch", "open_clip_torch", "cryptography", "dp-accounting")
"""Packages whose versions are written down."""

TEXT = (".json", ".jsonl", ".toml")
"""Files whose lines have a checksum each, to find the place of a change."""

CHECKSUM = 8
"""Hexadecimal digits of a line's checksum. It points; what holds is the file's whole digest."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One file.

    Attributes:
        sha256: Of its content.
        lines: Checksums of its lines, one after another; empty for a file that is no text.
    """

    sha256: str
    lines: str


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """An inventory as it was read.

    Attributes:
        files: By path, with slashes, from the run's folder.
        versions: Of the packages that made the run.
        signature: The server's, over :attr:`signed`.
    """

    files: Mapping[str, Item]
    versions: Mapping[str, str]
    signature: bytes

    @property
    def signed(self) -> bytes:
        """What is signed: everything but the signature."""
        return label("files", hashlib.sha256(_text(self._values()).encode()).digest())

    def to_json(self) -> str:
        """Return the one text of this inventory."""
        return _text(self._values() | {"signature": self.signature.hex()})

    def is_signed_by(self, public: bytes) -> bool:
        """Tell whether the holder of an Ed25519 key signed it."""
        return identity.is_signed(public, self.signed, self.signature)

    def _values(self) -> dict[str, Any]:
        files = {path: {"sha256": item.sha256, "lines": item.lines} for path, item in self.files.items()}
        return {"format": FORMAT, "files": files, "versions": dict(self.versions)}


def write(folder: Path, *, sign: Callable[[bytes], bytes]) -> None:
    """Write the inventory of a run that is finished; nothing listed may change afterwards.

    Args:
        folder: Of the run.
        sign: Signs as the server, such as :meth:`securefed.aggregation.identity.Identity.sign`.
    """
    versions = {name: importlib.metadata.version(name) for name in VERSIONED} | {"python": platform.python_version()}
    listed = (path for path in _present(folder) if path not in MADE and not path.startswith(UNFINISHED))
    files = {path: _item(path, (folder / path).read_bytes()) for path in listed}
    unsigned = Inventory(files=files, versions=versions, signature=b"")
    signed = Inventory(files=files, versions=versions, signature=sign(unsigned.signed))
    (folder / NAME).write_text(signed.to_json(), encoding="utf-8")


def read(folder: Path) -> Inventory:
    """Read a run's inventory.

    Raises:
        ConfigError: If there is none.
        VerificationError: If it is not in the one form that an inventory has.
    """
    path = folder / NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}; a run has it when it is finished, and an "
            "interrupted one is finished by 'securefed resume'. Is this the folder of a run?"
        ) from error
    try:
        found = _parse(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise VerificationError(f"it is not an inventory: {error}", where=NAME) from error
    if found.to_json().encode() != content:
        raise VerificationError("it is not in the form in which inventories are written", where=NAME)
    return found


def check(folder: Path, inventory: Inventory) -> None:
    """Check that a folder holds what is listed, and nothing that nobody vouches for.

    Raises:
        VerificationError: Names the first file, and the first line if the file is text.
    """
    for path, item in inventory.files.items():
        try:
            content = (folder / path).read_bytes()
        except OSError as error:
            raise VerificationError(
                f"it is listed in {NAME} and cannot be read: {error.strerror}", where=path
            ) from error
        if hashlib.sha256(content).hexdigest() != item.sha256:
            where = _changed_line(path, content, item)
            raise VerificationError(f"it is not what {NAME} lists: something in it was changed", where=where)
    for path in _present(folder):
        if path not in inventory.files and path not in LATER:
            raise VerificationError(
                f"it is not listed in {NAME}: nothing vouches for it. Keep what you add to a run elsewhere", where=path
            )


def _present(folder: Path) -> Iterator[str]:
    """Return the paths of all files but the owners' and the inventory, in order."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name != NAME and not OWNED.fullmatch(name):
            yield name


def _item(path: str, content: bytes) -> Item:
    return Item(sha256=hashlib.sha256(content).hexdigest(), lines="".join(_checksums(path, content)))


def _checksums(path: str, content: bytes) -> list[str]:
    if not path.endswith(TEXT):
        return []
    return [hashlib.sha256(line).hexdigest()[:CHECKSUM] for line in content.split(b"\n")]


def _changed_line(path: str, content: bytes, item: Item) -> str:
    """Return the place of the first line that is not the listed one."""
    now = _checksums(path, content)
    then = [item.lines[i : i + CHECKSUM] for i in range(0, len(item.lines), CHECKSUM)]
    for number in range(max(len(now), len(then)) if then else 0):
        if now[number : number + 1] != then[number : number + 1]:
            return f"{path}:{number + 1}"
    return path


def _parse(values: Any) -> Inventory:
    if values["format"] != FORMAT:
        raise ValueError(f"this version reads {FORMAT} only")
    files = {}
    for path, item in values["files"].items():
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path:
            raise ValueError(f"{path!r} does not lie in the run's folder")
        files[path] = Item(sha256=item["sha256"], lines=item["lines"])
    return Inventory(files=files, versions=values["versions"], signature=bytes.fromhex(values["signature"]))


def _text(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
