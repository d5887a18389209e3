"""Parts of a scorecard: one row under one seed, played in one go and kept, so that an interruption loses no other."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, final

from securefed.errors import ConfigError
from securefed.threat_models.game import Measured, Profile, play_row
from securefed.threat_models.registry import row_of

PACKAGE = Path(__file__).parents[1]


@final
@dataclass(frozen=True, slots=True)
class Part:
    """What is played in one go.

    Attributes:
        row: Name of the row.
        profile: How many trials.
        seed: Of every trial.
    """

    row: str
    profile: Profile
    seed: int


@final
@dataclass(frozen=True, slots=True)
class PlayedArm:
    """One arm under one seed.

    Attributes:
        measured: What the attack achieved.
        seconds: How long it took.
    """

    measured: Measured
    seconds: float


@final
@dataclass(frozen=True, slots=True)
class PlayedPart:
    """A part, and its arms in the row's order."""

    part: Part
    arms: tuple[PlayedArm, ...]


def play_part(part: Part) -> PlayedPart:
    """Play every arm of a row under one seed."""
    results = play_row(row_of(part.row), profile=part.profile, seed=part.seed)
    return PlayedPart(part, tuple(PlayedArm(each.measured, each.seconds) for each in results))


def play_parts(parts: Sequence[Part], *, processes: int = 1) -> Iterator[PlayedPart]:
    """Play parts as they come free: here, or in processes of their own. What comes out does not depend on it.

    Raises:
        ConfigError: If there is to be no process.
    """
    if processes < 1:
        raise ConfigError(f"processes is {processes}; somebody must play, take at least 1")
    if processes == 1 or len(parts) < 2:
        yield from map(play_part, parts)
        return
    with multiprocessing.get_context("spawn").Pool(min(processes, len(parts)), initializer=_one_thread) as pool:
        yield from pool.imap_unordered(play_part, parts)


def _one_thread() -> None:
    """Processes that share a machine do not wait for each other's threads."""
    import torch

    torch.set_num_threads(1)


@cache
def source_digest() -> str:
    """Return the SHA-256 of the package's source: parts that other code played are not these parts."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def keep(path: Path, played: PlayedPart) -> None:
    """Append a part to a file of parts, one line each.

    Raises:
        ConfigError: If the file cannot be written.
    """
    line = json.dumps({"source": source_digest(), **dataclasses.asdict(played)})
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def kept(path: Path) -> dict[Part, PlayedPart]:
    """Return the parts in a file that this very code has played; none if there is no file."""
    if not path.exists():
        return {}
    found = (_read(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {played.part: played for played in found if played is not None}


def _read(line: str) -> PlayedPart | None:
    """Return a part; None for a line that was cut off when its process was killed, or that other code wrote."""
    try:
        values: Mapping[str, Any] = json.loads(line)
    except ValueError:
        return None
    if values["source"] != source_digest():
        return None
    arms = (PlayedArm(Measured(**arm["measured"]), arm["seconds"]) for arm in values["arms"])
    return PlayedPart(Part(**values["part"]), tuple(arms))
