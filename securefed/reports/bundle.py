"""A run in one file: what can be verified of it, without the files that belong to the clients' owners.

The file is a ZIP archive that any tool opens. It is made the same way every time, to the byte: members in order, stored
as they are, without dates. So whoever reads one can make it again and compare.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path, PurePosixPath

from securefed import inventory
from securefed.errors import ConfigError, VerificationError

SUFFIX = ".securefed.zip"

DATE = (1980, 1, 1, 0, 0, 0)
"""The first date that the format knows."""


def bundle(folder: Path, out: Path | None = None) -> Path:
    """Write a finished run, with its report, into one file.

    Args:
        folder: Of the run.
        out: The new file; by default beside the folder, with its name and ``.securefed.zip``.

    Returns:
        The file.

    Raises:
        ConfigError: If the folder is not a finished run with a report, or the file exists or cannot be written.
    """
    listed = inventory.read(folder)
    later = [name for name in inventory.LATER if (folder / name).exists()]
    out = out or folder.resolve().parent / f"{folder.resolve().name}{SUFFIX}"
    try:
        members = {name: (folder / name).read_bytes() for name in (inventory.NAME, *listed.files, *later)}
        with out.open("xb") as file:
            file.write(archive(members))
    except FileExistsError as error:
        raise ConfigError(f"{out} exists; name a new file") from error
    except OSError as error:
        raise ConfigError(f"{error.filename or out} cannot be used: {error.strerror}") from error
    return out


def archive(members: dict[str, bytes]) -> bytes:
    """Return the one archive of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name, content in sorted(members.items()):
            entry = zipfile.ZipInfo(name, DATE)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            file.writestr(entry, content)
    return buffer.getvalue()


def extract(path: Path, folder: Path) -> None:
    """Write a bundle's members into an empty folder.

    Raises:
        ConfigError: If the file cannot be read.
        VerificationError: If it is not a bundle to the byte.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    members = _members(content, path.name)
    if archive(members) != content:
        raise VerificationError("it is not an archive that securefed wrote: its structure was changed", where=path.name)
    for name, member in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(member)


def _members(content: bytes, where: str) -> dict[str, bytes]:
    """Return what an archive holds, if it stays within a folder; stored members cannot be larger than the file."""
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            for entry in file.infolist():
                path = PurePosixPath(entry.filename)
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > len(content):
                    raise VerificationError("it is not stored as it is", where=f"{where}, {entry.filename!r}")
                if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or str(path) != entry.filename:
                    raise VerificationError("it does not lie in the bundle", where=f"{where}, {entry.filename!r}")
                found[entry.filename] = _member(file, entry, where)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError, RuntimeError, OSError) as error:
        raise VerificationError(f"it is not a whole ZIP archive: {error}", where=where) from error
    return found


def _member(file: zipfile.ZipFile, entry: zipfile.ZipInfo, where: str) -> bytes:
    try:
        return file.read(entry)
    except zipfile.BadZipFile as error:
        raise VerificationError(f"it was changed: {error}", where=f"{where}, {entry.filename!r}") from error
