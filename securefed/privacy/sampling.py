"""Which records a round is about: batches that carry their own event and can be used once.

A batch hands out its records only to somebody who charges its event first, so that what is accounted for and what is
used cannot differ. How many records are in a batch is private; nothing but the noisy sum may depend on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from securefed.errors import ConfigError
from securefed.privacy.clipping import Adjacency
from securefed.privacy.events import FULL_BATCH, Sampling
from securefed.privacy.shares import Shares
from securefed.rng import Source

Indices: TypeAlias = npt.NDArray[np.intp]


@final
class Batch:
    """One round's records, for one use.

    Attributes:
        event: What using it costs.
    """

    def __init__(self, event: Shares, indices: Indices) -> None:
        self.event = event
        self._indices: Indices | None = indices

    def take(self, charge: Callable[[Shares], object]) -> Indices:
        """Charge the event, then return which records are in the batch, shape ``(n,)``; ``n`` may be zero.

        Args:
            charge: Charges a ledger; if it raises, the records are not handed out.

        Raises:
            ConfigError: If the batch was used before.
        """
        if self._indices is None:
            raise ConfigError("this batch was used before; every use costs: draw another batch, which is charged anew")
        indices, self._indices = self._indices, None
        charge(self.event)
        return indices


@final
@dataclass(frozen=True, slots=True)
class FullBatch:
    """Every record in every round.

    Attributes:
        event: What one round costs.
    """

    event: Shares

    def event_of(self, number: int) -> Shares:
        """Return what the batch of a step costs, ``number`` from 1."""
        return self.event if self.event.sampling == FULL_BATCH else replace(self.event, sampling=FULL_BATCH)

    def draw(self, records: int, *, number: int, rng: Source) -> Batch:
        """Return the batch of a step."""
        return Batch(self.event_of(number), np.arange(records))


@final
@dataclass(frozen=True, slots=True)
class PoissonBatches:
    """Every record by a coin of its own in every round.

    Attributes:
        event: What one round on a full batch costs.
        rate: Probability of each record.

    Raises:
        ConfigError: If the event's mechanism or adjacency has no proof for samples.
    """

    event: Shares
    rate: float

    def __post_init__(self) -> None:
        """Refuse what could not be accounted for."""
        self.event_of(1)

    def event_of(self, number: int) -> Shares:
        """Return what the batch of a step costs, ``number`` from 1."""
        return replace(self.event, sampling=Sampling(rate=self.rate))

    def draw(self, records: int, *, number: int, rng: Source) -> Batch:
        """Return the batch of a step."""
        # A record is in if a number of 63 uniform bits lies below rate * 2**63, which is rounded down: never more often
        # than stated.
        coins = rng.uint64(records) >> np.uint64(1)
        chosen = coins < np.uint64(int(self.rate * 2.0**63))
        return Batch(self.event_of(number), np.flatnonzero(chosen))


@final
@dataclass(frozen=True, slots=True)
class PartBatches:
    """A fixed or shuffled order, accounted for as what it is: no amplification, each record in one part of several.

    Each record is dealt to a part by a coin of its own, so that one record more or less leaves all others where they
    are; dealing equal numbers would move a record from every part to the next, and each round would cost every record.
    Rounds go through the parts in turn. The parts are dealt anew for every pass if the order is shuffled, once if it is
    fixed.

    Attributes:
        event: What one round on a full batch costs.
        parts: How many.
        name: Of the run, so that another run's parts are not taken for these.
        shuffled: Whether every pass deals anew.

    Raises:
        ConfigError: If ``parts`` or ``name`` is missing, or neighbours replace a record.
    """

    event: Shares
    parts: int
    name: str
    shuffled: bool
    _dealt: dict[str, Indices] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not be accounted for."""
        if self.parts < 2 or not self.name:
            raise ConfigError(
                f"parts is {self.parts}, name {self.name!r}; a partition has two parts or more and a name"
            )
        if self.event.adjacency is not Adjacency.ADD_OR_REMOVE_ONE:
            raise ConfigError("parts are accounted for when a record is added or removed, not when one is replaced")

    def event_of(self, number: int) -> Shares:
        """Return what the batch of a step costs, ``number`` from 1."""
        turn, part = divmod(number - 1, self.parts)
        partition = f"{self.name}/{turn if self.shuffled else 0}"
        return replace(self.event, sampling=Sampling(partition=partition, part=part))

    def draw(self, records: int, *, number: int, rng: Source) -> Batch:
        """Return the batch of a step, ``number`` from 1."""
        event = self.event_of(number)
        partition, part = event.sampling.partition, event.sampling.part
        if partition not in self._dealt:
            self._dealt[partition] = (rng.uint64(records) % np.uint64(self.parts)).astype(np.intp)
        return Batch(event, np.flatnonzero(self._dealt[partition] == part))


Batches: TypeAlias = FullBatch | PoissonBatches | PartBatches
"""What draws one client's batches."""
