"""People's own images: a folder for every class, or for every domain with a folder for every class in it.

Understood are ``class/``, ``domain/class/`` (PACS, Office-Home, VLCS and DomainNet as they unpack), and a level named
``train``, ``val`` or ``test`` anywhere above the classes. A single folder around all others is looked through. Hidden
files and files that are no images are passed over; so are folders without images, unless they are entirely empty: such
a folder is a class that has no records here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, final

import numpy as np

from securefed.data.images import DataSet, Images
from securefed.data.pictures import Files
from securefed.data.selection import split
from securefed.data.world import Labels
from securefed.errors import DataError

ENDINGS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""What is taken for an image; capitals do not matter."""

NAMES = "classes.json"
"""A file beside the class folders that maps folder names to class names, where folders are numbers or codes."""

TRAIN, VALIDATION, TEST, COPY = "train", "validation", "test", "copy"
_SPLITS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "crossval": VALIDATION,
    "test": TEST,
    "testing": TEST,
    "full": COPY,  # VLCS as its authors unpack it has everything a second time there
}
_DEEPEST = 6

Levels: TypeAlias = tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class _Entry:
    """An image, or a class that has none.

    Attributes:
        path: Below the root, with forward slashes; empty for a class without images.
        levels: Names of the folders that mean something: the class, with its domain before it if there are domains.
        part: Of the split on disk; empty if there is none.
    """

    path: str
    levels: Levels
    part: str = ""


def load(root: Path, name: str, *, seed: int) -> DataSet:
    """Return the data set that a folder holds, without decoding an image.

    Images under ``test`` are held out, else those under ``val``; without either, a fifth of every class and domain is.

    Args:
        root: The folder.
        name: Of the data set.
        seed: Of the split, if there is none on disk.

    Raises:
        DataError: If the folder does not hold images in one of the forms above.
    """
    entries = [_parted(entry) for entry in _unwrapped(list(_walk(root, "", ())))]
    if any(entry.part not in {"", COPY} for entry in entries):
        entries = [entry for entry in entries if entry.part != COPY]
    _check_levels(entries, root)
    images = _images(root, entries)
    parts = np.array([entry.part for entry in entries if entry.path])
    held_out = TEST if (parts == TEST).any() else VALIDATION
    if (parts == held_out).all() or not (parts == held_out).any():
        return split(name, images, seed=seed)
    return DataSet(name, *(images.take(np.flatnonzero(chosen)) for chosen in (parts != held_out, parts == held_out)))


def _walk(folder: Path, path: str, levels: Levels) -> Iterator[_Entry]:
    """Yield every image below a folder, in the order of names; links are followed, but not for ever."""
    try:
        inside = sorted(entry for entry in folder.iterdir() if not entry.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise DataError(f"data folder {folder} cannot be read ({error.strerror}); put the images there") from error
    if not inside and levels:
        yield _Entry("", levels)
    for entry in inside:
        if entry.suffix.lower() in ENDINGS and entry.is_file():
            yield _Entry(f"{path}{entry.name}", levels)
        elif len(levels) < _DEEPEST and entry.is_dir():
            yield from _walk(entry, f"{path}{entry.name}/", (*levels, entry.name))


def _unwrapped(entries: list[_Entry]) -> list[_Entry]:
    """Leave folders out that are around all others, such as ``kfold`` of PACS."""
    depth = 0
    while all(len(entry.levels) > depth + 1 for entry in entries):
        names = {entry.levels[depth] for entry in entries}
        if len(names) != 1 or names & set(_SPLITS):
            break
        depth += 1
    return [replace(entry, levels=entry.levels[depth:]) for entry in entries]


def _parted(entry: _Entry) -> _Entry:
    """Tell levels that name a part of the split from those that name a domain; the last one is always the class."""
    above, last = entry.levels[:-1], entry.levels[-1:]
    part = next((_SPLITS[level.lower()] for level in above if level.lower() in _SPLITS), "")
    return replace(entry, levels=(*(x for x in above if x.lower() not in _SPLITS), *last), part=part)


def _check_levels(entries: Sequence[_Entry], root: Path) -> None:
    """Refuse what has neither one level everywhere nor two."""
    if not any(entry.path for entry in entries):
        raise DataError(
            f"data folder {root} holds no images; put them there as class/image.jpg or domain/class/image.jpg"
        )
    examples = {len(entry.levels): entry.path or "/".join(entry.levels) for entry in entries}
    if set(examples) not in ({1}, {2}):
        raise DataError(
            f"data folder {root} mixes depths or has other ones than class/image.jpg and domain/class/image.jpg; "
            f"found {' and '.join(sorted(examples.values()))}"
        )


def _images(root: Path, entries: Sequence[_Entry]) -> Images:
    folders = sorted({entry.levels[-1] for entry in entries})
    domains = sorted({_domain(entry, root) for entry in entries})
    used = [entry for entry in entries if entry.path]
    return Images(
        pixels=Files(root, tuple(entry.path for entry in used)),
        labels=_indices([entry.levels[-1] for entry in used], folders),
        domains=_indices([_domain(entry, root) for entry in used], domains),
        class_names=_class_names(root, folders),
        domain_names=tuple(domains),
    )


def _domain(entry: _Entry, root: Path) -> str:
    return entry.levels[0] if len(entry.levels) > 1 else root.resolve().name


def _indices(values: Sequence[str], names: Sequence[str]) -> Labels:
    where = {name: index for index, name in enumerate(names)}
    return np.array([where[value] for value in values], np.int64)


def _class_names(root: Path, folders: Sequence[str]) -> tuple[str, ...]:
    """Return what a prompt calls the classes: the folders' names with spaces, or what the user wrote down."""
    file = root / NAMES
    try:
        written = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read ({error}); it maps folder names to class names") from error
    if not isinstance(written, dict) or not all(isinstance(name, str) for name in written.values()):
        raise DataError(f'{file} must map folder names to class names, as in {{"n02123045": "tabby cat"}}')
    names = tuple(written.get(folder, folder.replace("_", " ").strip()) for folder in folders)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"data folder {root} has two folders for class {twice[0]!r}; merge or rename one")
    return names
