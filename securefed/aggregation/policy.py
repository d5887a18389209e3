"""The floor that a client's owner sets in a local file, and that no message from a server can lower."""

from __future__ import annotations

import dataclasses
import math
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import final

from securefed.aggregation.parameters import Parameters
from securefed.aggregation.refusals import PolicyViolation
from securefed.aggregation.topology import Topology, is_safe
from securefed.errors import ConfigError

HARD_FLOOR = 3
"""Nobody can allow a smaller cohort: of two clients each learns the other's vector from the sum."""

_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "tuple[str, ...]": (list,)}
"""What a setting of each type may be in the file."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What a client demands before it takes part in a sum.

    The threshold has no setting: more than two thirds of the cohort must survive, always.

    Attributes:
        minimum_cohort: Least number of clients in a cohort, and of survivors in a sum.
        corruption: Largest fraction of a large cohort that may work with the server (see ``topology``); in a small
            one the threshold holds against up to a third.
        privacy_bits: The random graph of a large cohort fails privacy with probability at most ``2**-privacy_bits``.
        maximum_bits: Largest ring.
        guard_bits: How many high bits of the ring a sum within its limit leaves unused.
        maximum_rounds: Number of rounds of one task.
        clip_norm: Largest norm to which this client's contribution may be clipped, in parameter units.
        tasks: The tasks that this client takes part in; none named means any. A model is contributed to once in a task
            (see ``journal``), so a server that could name tasks freely could ask again under another name.

    Raises:
        ConfigError: If a value allows what no policy may allow.
    """

    minimum_cohort: int = HARD_FLOOR
    corruption: float = 0.1
    privacy_bits: int = 40
    maximum_bits: int = 64
    guard_bits: int = 0
    maximum_rounds: int = 2**32
    clip_norm: float = math.inf
    tasks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a policy that is none."""
        bounds = {
            "minimum_cohort": self.minimum_cohort >= HARD_FLOOR,
            "corruption": 0 < self.corruption < 0.5,
            "privacy_bits": 40 <= self.privacy_bits <= 128,
            "maximum_bits": 2 <= self.maximum_bits <= 64,
            "guard_bits": 0 <= self.guard_bits <= 16,
            "maximum_rounds": 1 <= self.maximum_rounds <= 2**32,
            "clip_norm": self.clip_norm > 0,
        }
        if broken := [f"{field} = {getattr(self, field)}" for field, holds in bounds.items() if not holds]:
            raise ConfigError(f"a policy cannot allow {', '.join(broken)}; at least {HARD_FLOOR} clients are added")

    @classmethod
    def load(cls, path: Path) -> Policy:
        """Read a policy from a TOML file that only its owner can write.

        Raises:
            ConfigError: If the file can be written by others, is not TOML, or has a key or value that no policy has.
        """
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ConfigError(f"{path} can be written by others; it is a floor only if nobody else can lower it")
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not TOML: {error}") from error
        types = {field.name: _TYPES[str(field.type)] for field in dataclasses.fields(cls)}
        for key, value in values.items():
            if key not in types or isinstance(value, bool) or not isinstance(value, types[key]):
                raise ConfigError(f"{path}: {key} = {value!r} is not a setting; there are {', '.join(types)}")
        tasks = values.pop("tasks", ())
        if not all(isinstance(task, str) for task in tasks):
            raise ConfigError(f"{path}: tasks = {tasks!r} is not a list of names in quotes")
        return cls(tasks=tuple(tasks), **values)

    def check(self, parameters: Parameters, topology: Topology) -> None:
        """Refuse a sum below the floor.

        Raises:
            PolicyViolation: Names the value and the floor.
        """
        clients, threshold = len(parameters.cohort), parameters.threshold
        self._demand("the cohort", clients, self.minimum_cohort)
        self._demand("the threshold", threshold, max(2 * clients // 3 + 1, self.minimum_cohort))
        self._demand("the number of rounds left", self.maximum_rounds - parameters.context.round, 1)
        self._demand("the room in the ring", self.maximum_bits - parameters.bits, 0)
        if self.tasks and (task := parameters.context.task) not in self.tasks:
            raise PolicyViolation(f"the task is {task!r}, this client's policy names only {', '.join(self.tasks)}")
        if self.guard_bits:
            limit = parameters.limit or 2 ** (parameters.bits - 1)
            self._demand("the number of guard bits", parameters.bits - 1 - limit.bit_length(), self.guard_bits)
        self._check_topology(topology, clients, threshold)

    def check_clip(self, clip_norm: float) -> None:
        """Refuse a clip norm above this policy's.

        Raises:
            PolicyViolation: Names the value and the bound.
        """
        if not 0 < clip_norm <= self.clip_norm:
            raise PolicyViolation(f"the clip norm is {clip_norm}, this client's policy allows at most {self.clip_norm}")

    def _check_topology(self, topology: Topology, clients: int, threshold: int) -> None:
        if topology.degree >= clients - 1:
            self._demand("the share threshold", topology.share_threshold, 2 * clients // 3 + 1)
            self._demand("the witness threshold", topology.witness_threshold, 2 * clients // 3 + 1)
        elif not is_safe(
            topology,
            clients=clients,
            threshold=threshold,
            corruption=self.corruption,
            privacy_bits=self.privacy_bits,
        ):
            raise PolicyViolation(
                f"{topology} is not safe among {clients} clients if {self.corruption:.0%} are corrupt"
            )

    @staticmethod
    def _demand(what: str, value: int, floor: int) -> None:
        if value < floor:
            raise PolicyViolation(f"{what} is {value}, this client's policy demands at least {floor}")
