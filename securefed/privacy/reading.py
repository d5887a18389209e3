"""Events from plain values, as ledgers and their exports hold them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from securefed.errors import VerificationError
from securefed.privacy import renyi
from securefed.privacy.clipping import Adjacency
from securefed.privacy.events import FULL_BATCH, Event, Sampling, View
from securefed.privacy.gaussian import CentralGaussian
from securefed.privacy.shares import SkellamShares, SumOfShares


@final
@dataclass(frozen=True, slots=True)
class UnknownEvent(Event):
    """An event of a mechanism that this version does not know: it costs infinity.

    Attributes:
        values: Its plain values, as JSON.
    """

    mechanism: ClassVar[str] = "unknown"

    values: str

    @property
    def sampling(self) -> Sampling:  # type: ignore[override]
        """Everybody: nothing else is known."""
        return FULL_BATCH

    def gaussian(self, view: View) -> None:
        """Return None: nothing is known."""

    def curve(self, view: View) -> renyi.Curve:
        """Return infinite costs."""
        return np.full(len(renyi.ORDERS), math.inf)

    def to_json(self) -> dict[str, Any]:
        """Return the values as they were read."""
        values: dict[str, Any] = json.loads(self.values)
        return values


KNOWN: Mapping[str, type[SumOfShares | SkellamShares | CentralGaussian]] = {
    kind.mechanism: kind for kind in (SumOfShares, SkellamShares, CentralGaussian)
}


def read_event(values: Mapping[str, Any]) -> Event:
    """Read plain values.

    Raises:
        VerificationError: If they are not an event.
    """
    try:
        fields = dict(values)
        kind = KNOWN.get(fields.pop("mechanism"))
        if kind is None:
            return UnknownEvent(json.dumps(values, sort_keys=True))
        fields |= {"adjacency": Adjacency(fields["adjacency"]), "sampling": Sampling(**fields["sampling"])}
        return kind(**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationError(f"not an event: {error}") from error
