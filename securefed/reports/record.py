"""What a run left on disk, read into values and checked for completeness."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, final

from pydantic import BaseModel, ConfigDict, ValidationError

from securefed import inventory
from securefed.aggregation.identity import Roster
from securefed.aggregation.provision import load_roster
from securefed.errors import ConfigError, VerificationError
from securefed.inventory import Inventory
from securefed.plan import Plan
from securefed.privacy.ledger import Book, read_export

Json: TypeAlias = dict[str, Any]


class Line(BaseModel):
    """One line of a run's files; fields that a report does not need are not looked at."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class Start(Line):
    """First line of ``metrics.jsonl``; see :mod:`securefed.runs`."""

    run: str
    plan_digest: str
    secret_noise: bool
    roster_root: str
    zero_shot_accuracy: float
    initial_accuracy: float


class RoundLine(Line):
    """One round in ``metrics.jsonl``; without survivors it was lost, and charged nevertheless."""

    number: int
    accuracy: float
    survivors: list[str]


class End(Line):
    """Last line of ``metrics.jsonl``."""

    adapter_sha256: str
    seconds: dict[str, float]
    unseen_accuracy: float | None = None
    unseen_zero_shot_accuracy: float | None = None


class Message(Line):
    """One line of ``messages.jsonl``."""

    direction: Literal["request", "answer"]
    bytes: int


Kind = TypeVar("Kind", bound=Line)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """What a run left on disk.

    Attributes:
        plan: Its public choices.
        start: The first line of its metrics.
        rounds: One line a round.
        end: The last line.
        ledgers: Each client's exported ledger, all runs on its data included.
        messages: Sizes of all messages.
        roster: Public keys of the parties.
        transcripts: Lines of the signed record of each round's sum, by round; empty where the sum keeps none.
        files: The inventory.
        audit: What an audit found, if its result was put into the folder.
    """

    plan: Plan
    start: Start
    rounds: Sequence[RoundLine]
    end: End
    ledgers: Mapping[str, Book]
    messages: Sequence[Message] = field(repr=False)
    roster: Roster
    transcripts: Mapping[int, Sequence[str]] = field(repr=False)
    files: Inventory = field(repr=False)
    audit: Json | None

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Read a run directory.

        Raises:
            ConfigError: If it is not one, or the run did not finish.
            LedgerError: If an exported ledger's chain does not hold.
            VerificationError: If a file is not what a run leaves.
        """
        plan = Plan.from_toml(folder / "plan.toml")
        lines = _by_kind(folder)
        (start,) = _typed(Start, lines["start"], "metrics.jsonl")
        rounds = _typed(RoundLine, lines["round"], "metrics.jsonl")
        if [line.number for line in rounds] != list(range(1, plan.rounds + 1)):
            raise VerificationError(f"it does not hold rounds 1 to {plan.rounds} in order", where="metrics.jsonl")
        (end,) = _typed(End, lines["end"], "metrics.jsonl")
        return cls(
            plan=plan,
            start=start,
            rounds=rounds,
            end=end,
            ledgers={path.stem: read_export(path) for path in sorted((folder / "ledger").glob("*.jsonl"))},
            messages=_typed(Message, list(enumerate(read_lines(folder / "messages.jsonl"), 1)), "messages.jsonl"),
            roster=read_roster(folder, start),
            transcripts=_transcripts(folder, plan, rounds),
            files=inventory.read(folder),
            audit=read_object(folder / "audit.json") if (folder / "audit.json").exists() else None,
        )


def read_file(path: Path) -> bytes:
    """Read a file of a run.

    Raises:
        ConfigError: If it is missing.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; is this the folder of a finished run?") from error


def read_object(path: Path) -> Json:
    """Read a JSON object.

    Raises:
        ConfigError: If the file is missing.
        VerificationError: If it holds something else.
    """
    content = read_file(path)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"it is not JSON: {error}", where=path.name) from error
    if not isinstance(value, dict):
        raise VerificationError("it is not a JSON object", where=path.name)
    return value


def read_lines(path: Path) -> list[Json]:
    """Read a file of JSON lines.

    Raises:
        ConfigError: If it is missing.
        VerificationError: If a line is not a JSON object.
    """
    lines = []
    for number, line in enumerate(read_file(path).splitlines(), 1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise VerificationError("it is not a JSON object", where=f"{path.name}:{number}")
        lines.append(value)
    return lines


def read_start(folder: Path) -> Start:
    """Read the first line of a run's metrics.

    Raises:
        ConfigError: If the file is missing or the run did not finish.
        VerificationError: If it is not what a run leaves.
    """
    return _typed(Start, _by_kind(folder)["start"], "metrics.jsonl")[0]


def read_roster(folder: Path, start: Start) -> Roster:
    """Read the roster of a run.

    Raises:
        ConfigError: If the file is missing.
        VerificationError: If it is not the one that the run's first line names.
    """
    read_file(folder / "roster.json")
    try:
        return load_roster(folder / "roster.json", root=bytes.fromhex(start.roster_root))
    except ValueError as error:
        raise VerificationError(f"it is not the roster of this run: {error}", where="roster.json") from error


def _by_kind(folder: Path) -> dict[object, list[tuple[int, Json]]]:
    """Return the numbered lines of a run's metrics, by kind."""
    kinds = defaultdict(list)
    for number, line in enumerate(read_lines(folder / "metrics.jsonl"), 1):
        kinds[line.get("kind")].append((number, line))
    if len(kinds["start"]) != 1 or len(kinds["end"]) != 1:
        raise ConfigError(f"the run in {folder} did not finish; go on with it: securefed resume {folder}")
    return kinds


def _typed(kind: type[Kind], lines: Sequence[tuple[int, Json]], file: str) -> list[Kind]:
    found = []
    for number, line in lines:
        try:
            found.append(kind.model_validate(line))
        except ValidationError as error:
            problem = error.errors()[0]
            name = ".".join(map(str, problem["loc"]))
            raise VerificationError(f"{name}: {problem['msg']}", where=f"{file}:{number}") from None
    return found


def _transcripts(folder: Path, plan: Plan, rounds: Sequence[RoundLine]) -> dict[int, list[str]]:
    """Return the lines of every transcript that a run with this plan leaves: lost rounds have none."""
    found = {}
    for number in (line.number for line in rounds if line.survivors and plan.secure == "mask"):
        name = transcript_name(number)
        try:
            found[number] = read_file(folder / name).decode().splitlines()
        except UnicodeDecodeError as error:
            raise VerificationError(f"it is not text: {error}", where=name) from error
    return found


def transcript_name(number: int) -> str:
    """Return the path of a round's transcript in the run's folder."""
    return f"transcript/{number:04d}.jsonl"
