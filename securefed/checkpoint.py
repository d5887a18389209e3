"""What a run needs to go on after its process has died, in a folder that a finished run no longer has.

::

    runs/NAME/resume/
      beginning.json        name of the run, and what belongs to its machine: folders, policy, simulated dropouts
      identities/           private keys of all simulated parties, for their owner's eyes only
      checkpoint            the last round that is over: the server's state, which is public, and the round's record

A checkpoint takes the place of the one before it at once or not at all, and is on disk before anything follows from it.

What a repeated round is. A client's ledger holds a charge for it, but nothing that was paid for has left the client as
long as its journal does not say so: the journal is written first. So the round is begun again as another attempt, with
new noise, and the charge that is there pays for the one vector that leaves. Where a journal says that a vector may have
left, the charge is spent, that client contributes to this model no more, and the round is lost
(:func:`securefed.runs.resume`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from securefed.aggregation.identity import Federation
from securefed.aggregation.parameters import DIGEST
from securefed.aggregation.provision import load_federation, provision
from securefed.encoding import Vector
from securefed.errors import ConfigError
from securefed.machine import Machine
from securefed.rng import Source
from securefed.rounds import Round, ServerState

if TYPE_CHECKING:
    from securefed.adapters.base import Adapter

FOLDER = "resume"


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Beginning:
    """What stays the same however often a run is resumed, and is not in its plan.

    Attributes:
        run: Its name, in every ledger and context.
        plan_digest: Of its plan.
        roster_root: Of its parties.
        ledgers: Folder of the clients' ledgers.
        budget: Epsilon that new ledgers allow over all runs; None for what the plan needs.
        mirrors: Folder that remembers how far each ledger came, if any.
        policy: File with the floor that the clients' owners set, if any.
        vanishing: Simulated dropouts a round.
        is_secret: Whether noise and keys come from where nobody can repeat them.
        machine: Where weights, images and features lie.
    """

    run: str
    plan_digest: str
    roster_root: str
    ledgers: Path
    budget: float | None
    mirrors: Path | None
    policy: Path | None
    vanishing: int
    is_secret: bool
    machine: Machine

    def write(self, out: Path) -> None:
        """Leave it in the folder of a run, with absolute paths: a run may be resumed from anywhere."""
        _replace(out / FOLDER / "beginning.json", json.dumps(asdict(self), default=_absolute).encode())

    @classmethod
    def read(cls, out: Path) -> Self:
        """Read it.

        Raises:
            ConfigError: If there is none: the run is finished, or never began.
        """
        path = out / FOLDER / "beginning.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be read: {error.strerror}. A finished run has nothing left to do, and one that never "
                "began was charged nothing: start it again in a new folder"
            ) from error
        machine = Machine(**_paths(values.pop("machine"), "checkpoint", "root", "public_images", "cache"))
        return cls(**_paths(values, "ledgers", "mirrors", "policy"), machine=machine)


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Checkpoint:
    """The last round that is over. Everything in it is public.

    Attributes:
        number: Of that round; 0 before the first.
        attempt: How often the run was resumed.
        adapter: What is kept of the adapter after it.
        velocity: The momentum after it, shape ``(dim,)``.
        head: Of the record of the last sum.
        survivors: Who is in its sum; nobody if it was lost.
        transcript: Lines of its record.
        seconds: By stage, so far.
    """

    number: int
    attempt: int
    adapter: Mapping[str, npt.NDArray[np.float64]] = field(repr=False)
    velocity: Vector = field(repr=False)
    head: bytes
    survivors: tuple[str, ...]
    transcript: tuple[str, ...] = field(repr=False)
    seconds: Mapping[str, float]

    @classmethod
    def initial(cls, adapter: Adapter) -> Self:
        """Return where every run begins."""
        start = ServerState.initial(adapter)
        state = Round(state=start, survivors=(), transcript=(), head=bytes(DIGEST))
        return cls.after(state, number=0, attempt=0, seconds={})

    @classmethod
    def after(cls, done: Round, *, number: int, attempt: int, seconds: Mapping[str, float]) -> Self:
        """Return the checkpoint after a round."""
        return cls(
            number=number,
            attempt=attempt,
            adapter=done.state.adapter.kept(),
            velocity=done.state.velocity,
            head=done.head,
            survivors=done.survivors,
            transcript=done.transcript,
            seconds=dict(seconds),
        )

    def state(self, adapter: Adapter) -> ServerState:
        """Return the server's state, given the adapter that the run began with."""
        return ServerState(adapter=adapter.restored(self.adapter), velocity=self.velocity)

    def write(self, out: Path) -> None:
        """Put it in the place of the one before; when this returns, it is on disk."""
        names = ("number", "attempt", "survivors", "transcript", "seconds")
        values = {name: getattr(self, name) for name in names} | {"head": self.head.hex(), "kept": list(self.adapter)}
        tensors = {f"adapter.{name}": np.ascontiguousarray(tensor) for name, tensor in self.adapter.items()}
        tensors["velocity"] = np.asarray(self.velocity)
        _replace(out / FOLDER / "checkpoint", save(tensors, metadata={"round": json.dumps(values)}))

    @classmethod
    def read(cls, out: Path) -> Self | None:
        """Read it; None if no round was begun yet.

        Raises:
            ConfigError: If it is not one.
        """
        path = out / FOLDER / "checkpoint"
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="np") as file:
                values: dict[str, Any] = json.loads(file.metadata()["round"])
                adapter = {name: file.get_tensor(f"adapter.{name}") for name in values.pop("kept")}
                velocity = file.get_tensor("velocity")
            for name in ("survivors", "transcript"):
                values[name] = tuple(values[name])
            return cls(**{**values, "head": bytes.fromhex(values["head"])}, adapter=adapter, velocity=velocity)
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} is not a checkpoint: {error}; what was charged stays charged") from error


def new_parties(out: Path, names: tuple[str, ...], *, rng: Source) -> Federation:
    """Make the identities of a run, and keep their private keys until it is finished."""
    folder = out / FOLDER / "identities"
    return load_federation(folder, root=provision(names, folder, rng=rng).root)


def parties(out: Path, beginning: Beginning) -> Federation:
    """Return the identities that a run began with.

    Raises:
        ConfigError: If they are not whole.
        DigestError: If they are others.
    """
    return load_federation(out / FOLDER / "identities", root=bytes.fromhex(beginning.roster_root))


def forget(out: Path) -> None:
    """Remove what only an unfinished run needs: the private keys too."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)


def _replace(path: Path, content: bytes) -> None:
    """Write a file at once or not at all, durably."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _absolute(value: object) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    raise TypeError(f"{value!r} has no place in a run's beginning")


def _paths(values: dict[str, Any], *names: str) -> dict[str, Any]:
    found = {name: Path(values[name]) for name in names if values[name] is not None}
    return {**values, **found}
