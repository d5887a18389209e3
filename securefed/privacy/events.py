"""What was done: frozen values that hold what accounting needs, and nothing of the data.

An event says what one query cost, for whom and on which sample. It is what a ledger keeps. Meanings never change: a new
mechanism is a new class, and a mechanism that this version does not know costs infinity.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, final

from securefed.errors import ConfigError
from securefed.privacy import renyi
from securefed.privacy.clipping import Adjacency

View: TypeAlias = Literal["server", "coalition"]
"""Whose eyes: the server and everybody outside, or the server together with the tolerated colluders."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """Which records a query was about.

    Attributes:
        rate: Every record was in it with this probability, by a coin of its own (Poisson); 1 is everybody.
        partition: Name of a partition, drawn without looking at the records: each record is in one of its parts, by a
            choice of its own, and a query is about one part. Empty for none.
        part: Number of the part.

    Raises:
        ConfigError: If the values name no known way of sampling.
    """

    rate: float = 1.0
    partition: str = ""
    part: int = 0

    def __post_init__(self) -> None:
        """Refuse what could not be accounted for."""
        if not 0 < self.rate <= 1:
            raise ConfigError(f"rate is {self.rate}; a sampling rate lies above 0 and not above 1")
        if self.part < 0 or (self.partition and self.rate != 1) or (self.part and not self.partition):
            raise ConfigError(
                f"rate {self.rate}, partition {self.partition!r}, part {self.part}: a query is about everybody, about "
                "a Poisson sample, or about one part of a named partition"
            )


FULL_BATCH = Sampling()


class Gaussian(NamedTuple):
    """An event as a Gaussian mechanism on its sample.

    Attributes:
        noise_multiplier: Ratio of noise to sensitivity.
        slack: Logarithm of the largest ratio between the event's probabilities and those of a post-processed Gaussian.
    """

    noise_multiplier: float
    slack: float


class Event(ABC):
    """One query; see the subclasses.

    Attributes:
        mechanism: Name of the mechanism.
        unit: What one unit of privacy is.
        adjacency: Which data sets are neighbours.
        sampling: Which records it was about.
    """

    __slots__ = ()

    mechanism: ClassVar[str]
    sampling: Sampling

    @abstractmethod
    def gaussian(self, view: View) -> Gaussian | None:
        """Return it as a Gaussian mechanism, if it is one."""

    @abstractmethod
    def curve(self, view: View) -> renyi.Curve:
        """Return its Rényi costs, sample included."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"mechanism": self.mechanism} | _fields(self) | {"sampling": _fields(self.sampling)}


def _fields(values: Any) -> dict[str, Any]:
    """Return the fields of a frozen dataclass by name, as they are."""
    return {field.name: getattr(values, field.name) for field in fields(values)}


def check_positive(**values: float) -> None:
    """Refuse values that are not positive and finite.

    Raises:
        ConfigError: Naming the first.
    """
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ConfigError(f"{name} is {value}; it must be positive and finite")


def check_sampling(sampling: Sampling, adjacency: Adjacency) -> None:
    """Refuse a sample whose amplification, or whose parts, are proved for adding or removing a record only.

    Raises:
        ConfigError: If the adjacency is another one.
    """
    if sampling != FULL_BATCH and adjacency is not Adjacency.ADD_OR_REMOVE_ONE:
        raise ConfigError(
            f"a sample is accounted for under {Adjacency.ADD_OR_REMOVE_ONE.value}, not under {adjacency.value}; "
            "use full batches"
        )
