"""What everybody knows about one secure sum before it starts."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from securefed.aggregation.topology import COMPLETE, Topology
from securefed.encoding import RingVector
from securefed.errors import CapacityError, ConfigError

DIGEST = 32
"""Bytes of a SHA-256 digest."""

NAME_LIMIT = 64
"""Bytes that a client's name may have in UTF-8."""


def default_threshold(clients: int) -> int:
    """Return how many clients must survive if nothing else is said.

    In a small cohort that is ``t = floor(2 n / 3) + 1``: two sets of ``t`` clients share at least ``2 t - n > n / 3``
    members, so a server that colludes with up to a third of the cohort cannot have two different survivor sets agreed
    to (Bonawitz et al. 2017, Theorem 6.5). In a large one (see :mod:`securefed.aggregation.topology`) it is nine
    tenths.
    """
    return 2 * clients // 3 + 1 if clients <= COMPLETE else clients - clients // 10


MOST_ROUNDS = 64
"""Sums that one deal may serve: what a client has to keep in memory until then is bounded."""


@final
@dataclass(frozen=True, slots=True)
class Deal:
    """One exchange of keys and shares, which serves several rounds in a row; each has secrets of its own in it.

    Attributes:
        first: The first of these rounds.
        attempt: Number of earlier attempts at the first round.
        rounds: How many rounds it serves.

    Raises:
        ConfigError: If a number is out of bounds.
    """

    first: int
    attempt: int = 0
    rounds: int = 1

    def __post_init__(self) -> None:
        """Refuse a deal for no round, or for more than a client has room for."""
        if not 1 <= self.rounds <= MOST_ROUNDS:
            raise ConfigError(f"a deal is for {self.rounds} rounds; it serves 1 to {MOST_ROUNDS}")
        for field in ("first", "attempt"):
            if not 0 <= getattr(self, field) < 2**32:
                raise ConfigError(f"a deal's {field} is {getattr(self, field)}; it lies in [0, 2**32)")


@final
@dataclass(frozen=True, kw_only=True)
class Context:
    """What one secure sum belongs to; it enters every key derivation, box and signature.

    Attributes:
        task: Name of the federation task.
        round: Number of the model update, from 0.
        model: SHA-256 of the adapter that the round starts from, 32 bytes.
        plan: SHA-256 of the plan, 32 bytes.
        attempt: Number of earlier attempts at this round.
        previous: Head of the transcript of the round before, 32 bytes; zeros for the first.
        dealt: What the round's keys and shares were dealt for; None for this round alone.

    Raises:
        ConfigError: If a digest has another length, a number is negative, or the deal is for other rounds.
    """

    task: str
    round: int
    model: bytes
    plan: bytes
    attempt: int = 0
    previous: bytes = bytes(DIGEST)
    dealt: Deal | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be bound unambiguously."""
        if not 1 <= len(self.task.encode()) <= NAME_LIMIT:
            raise ConfigError(f"task is {self.task!r}; it has 1 to {NAME_LIMIT} bytes")
        for field in ("model", "plan", "previous"):
            if len(getattr(self, field)) != DIGEST:
                raise ConfigError(f"{field} has {len(getattr(self, field))} bytes; a SHA-256 digest has {DIGEST}")
        for field in ("round", "attempt"):
            if not 0 <= getattr(self, field) < 2**32:
                raise ConfigError(f"{field} is {getattr(self, field)}; it lies in [0, 2**32)")
        if not 0 <= self.slot < self.deal.rounds:
            raise ConfigError(f"round {self.round} is none of those that {self.deal} serves")

    @cached_property
    def deal(self) -> Deal:
        """What the round's keys and shares are dealt for."""
        return self.dealt or Deal(first=self.round, attempt=self.attempt)

    @cached_property
    def slot(self) -> int:
        """Which of the deal's rounds this is, from 0: a round has the secrets of its own slot, and no other round's."""
        return self.round - self.deal.first


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """The public parameters of one secure sum.

    Attributes:
        bits: Size of the ring, ``2 <= bits <= 64``.
        dim: Length of every vector.
        cohort: Names of the clients that take part; kept in sorted order.
        threshold: Least number of clients that must survive; fewer and the sum is aborted.
        context: What the sum belongs to.
        limit: Largest magnitude that a coordinate of the sum may reach, in ring units, or None if the whole ring is
            used. With a limit, a sum outside it is an error instead of a wrong number.
        topology: How many neighbours, shares and witnesses; None for the smallest safe ones.

    Raises:
        ConfigError: If the cohort is not two or more distinct names, or the threshold does not fit it.
        CapacityError: If the ring has fewer than 2 or more than 64 bits, or the limit does not fit into it.
    """

    bits: int
    dim: int
    cohort: tuple[str, ...]
    threshold: int
    context: Context
    limit: int | None = None
    topology: Topology | None = None

    def __post_init__(self) -> None:
        """Refuse parameters under which no sum could be exact."""
        object.__setattr__(self, "cohort", tuple(sorted(self.cohort)))
        if not 2 <= self.bits <= 64:
            raise CapacityError(f"bits is {self.bits}; a ring has 2 to 64 bits")
        if not 1 <= self.dim < 2**32:
            raise ConfigError(f"dim is {self.dim}; a vector has 1 to 2**32 - 1 coordinates")
        if len(self.cohort) < 2 or len(set(self.cohort)) < len(self.cohort):
            raise ConfigError(
                f"the cohort has {len(set(self.cohort))} distinct names in {len(self.cohort)}; "
                "two or more distinct clients are added"
            )
        if not 2 <= self.threshold <= len(self.cohort):
            raise ConfigError(f"threshold is {self.threshold}; it lies between 2 and the {len(self.cohort)} clients")
        if self.limit is not None and not 1 <= self.limit < 2 ** (self.bits - 1):
            raise CapacityError(
                f"limit is {self.limit}; a ring of {self.bits} bits holds magnitudes below "
                f"{2 ** (self.bits - 1)}. Use more bits or a larger step"
            )

    @property
    def modulus_mask(self) -> np.uint64:
        """The mask that reduces modulo ``2**bits``."""
        return np.uint64(2**self.bits - 1)

    def index(self, name: str) -> int:
        """Return the place of a client in the cohort.

        Raises:
            ConfigError: If the client is not in the cohort.
        """
        place = bisect_left(self.cohort, name)
        if self.cohort[place : place + 1] != (name,):
            raise ConfigError(f"{name!r} is not in the cohort of {len(self.cohort)} clients")
        return place

    def check(self, name: str, vector: RingVector) -> None:
        """Refuse a vector that is not what these parameters say.

        Raises:
            ConfigError: If shape or type differ.
            CapacityError: If a coordinate is not in the ring or beyond ``limit``.
        """
        if vector.dtype != np.uint64 or vector.shape != (self.dim,):
            raise ConfigError(
                f"the vector of {name!r} has type {vector.dtype} and shape {vector.shape}; "
                f"expected uint64 and ({self.dim},)"
            )
        if vector.max() > self.modulus_mask:
            raise CapacityError(f"the vector of {name!r} holds a value that is not below 2**{self.bits}")
        if self.limit is not None and exceeds(vector, self.bits, self.limit):
            raise CapacityError(f"the vector of {name!r} holds a magnitude above the limit of {self.limit}")


def exceeds(vector: RingVector, bits: int, limit: int) -> bool:
    """Tell whether a coordinate, read as a signed number, has a magnitude above ``limit``."""
    shifted = (vector + np.uint64(limit)) & np.uint64(2**bits - 1)
    return bool(shifted.max() > np.uint64(2 * limit))
