"""What an adversary sees of a run: recorded on the production path, then filtered.

A :class:`Recording` holds the bytes that :func:`securefed.rounds.run_round` really sent. An attack is given a
:class:`View` of it; reading what the adversary cannot see raises :class:`ViewViolation`, so that no attack can succeed
by knowing more than its adversary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from securefed.encoding import Vector
from securefed.errors import SecureFedError
from securefed.plan import Plan
from securefed.threat_models.adversaries import Adversary, Sight

if TYPE_CHECKING:
    from torch import Tensor

    from securefed.adapters.base import Adapter


class ViewViolation(SecureFedError):
    """An attack reads what its adversary cannot see."""


@final
@dataclass(frozen=True, slots=True)
class Message:
    """One message on the wire.

    Attributes:
        number: Of the round.
        phase: Of the secure sum.
        client: Who sent or received it.
        direction: ``"request"`` or ``"answer"``.
        content: The bytes.
    """

    number: int
    phase: str
    client: str
    direction: str
    content: bytes = field(repr=False)


@final
@dataclass(frozen=True, slots=True)
class Size:
    """What shows of a message through transport encryption: everything but its content.

    Attributes:
        number: Of the round.
        phase: Of the secure sum.
        client: Who sent or received it.
        direction: ``"request"`` or ``"answer"``.
        count: Bytes.
    """

    number: int
    phase: str
    client: str
    direction: str
    count: int


@final
@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A run as it happened.

    Attributes:
        plan: The public choices.
        adapters: Before the first round and after every round.
        sums: Decoded sum of every round, each of shape ``(dim,)``.
        survivors: Of every round.
        messages: All that travelled, in order.
        records: Features and labels of every client.
    """

    plan: Plan
    adapters: tuple[Adapter, ...] = field(repr=False)
    sums: tuple[Vector, ...] = field(repr=False)
    survivors: tuple[tuple[str, ...], ...]
    messages: tuple[Message, ...] = field(repr=False)
    records: Mapping[str, tuple[Tensor, Tensor]] = field(repr=False)


@final
class View:
    """What one adversary sees of a recording.

    Args:
        recording: The run.
        adversary: Who looks.
        corrupted: Names of the clients that the adversary controls.
    """

    __slots__ = ("_adversary", "_corrupted", "_recording")

    def __init__(self, recording: Recording, adversary: Adversary, corrupted: frozenset[str] = frozenset()) -> None:
        self._recording, self._adversary, self._corrupted = recording, adversary, corrupted

    def _seen(self, sight: Sight) -> Recording:
        if sight not in self._adversary.sees:
            sights = ", ".join(sorted(each.value for each in self._adversary.sees))
            raise ViewViolation(
                f"{self._adversary.id!r} does not see {sight.value!r}; it sees {sights}. Give the attack to an "
                "adversary that does, or take the reading out"
            )
        return self._recording

    @property
    def plan(self) -> Plan:
        """The public choices."""
        return self._seen(Sight.PLAN).plan

    @property
    def start(self) -> Adapter:
        """The public initial adapter."""
        return self._seen(Sight.START).adapters[0]

    @property
    def released(self) -> Adapter:
        """The last adapter."""
        return self._seen(Sight.RELEASED).adapters[-1]

    @property
    def adapters(self) -> tuple[Adapter, ...]:
        """Every adapter, from the initial one to the released one."""
        return self._seen(Sight.ADAPTERS).adapters

    @property
    def sums(self) -> tuple[Vector, ...]:
        """The sum of every round."""
        return self._seen(Sight.SUMS).sums

    @property
    def survivors(self) -> tuple[tuple[str, ...], ...]:
        """Whose vectors are in the sum of each round."""
        return self._seen(Sight.SURVIVORS).survivors

    @property
    def messages(self) -> tuple[Message, ...]:
        """Every message, with its content."""
        return self._seen(Sight.MESSAGES).messages

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Every message, without its content."""
        return tuple(
            Size(each.number, each.phase, each.client, each.direction, len(each.content))
            for each in self._seen(Sight.SIZES).messages
        )

    @property
    def records(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Features and labels of the corrupted clients, and of nobody else."""
        records = self._seen(Sight.RECORDS).records
        return {name: own for name, own in records.items() if name in self._corrupted}
