"""The client of a masked sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import numpy as np

from securefed.aggregation.base import ClientRole
from securefed.aggregation.client_states import Finished, KnowsVector, State
from securefed.aggregation.hand import Hand
from securefed.aggregation.identity import Identity
from securefed.aggregation.journal import Journal
from securefed.aggregation.member import Member
from securefed.aggregation.policy import Policy
from securefed.aggregation.session import Session
from securefed.encoding import RingVector
from securefed.rng import Source

LEAST = Policy()
"""The floor that holds if a client's owner sets none."""


@final
class MaskedClient(ClientRole):
    """One client's part in one masked sum.

    Args:
        session: What this client was told about the sum.
        identity: Its signing key; the name must be in the cohort.
        vector: Its vector, shape ``(dim,)``, coordinates below ``2**bits``; or what makes it, called at most once: when
            it is due, after the journal has noted that it leaves. So a sum that fails before costs no budget.
        rng: Where its secrets come from.
        policy: The floor that its owner set.
        journal: What it remembers of earlier sums; None remembers nothing beyond this one.
        hand: What it keeps between the rounds of a deal; a new one knows of no deal.

    Attributes:
        name: The client's name.

    Raises:
        PolicyViolation: If the sum is below the floor.
        ConfigError: If the name or the vector does not fit the parameters.
    """

    def __init__(
        self,
        session: Session,
        identity: Identity,
        vector: RingVector | Callable[[], RingVector],
        *,
        rng: Source,
        policy: Policy = LEAST,
        journal: Journal | None = None,
        hand: Hand | None = None,
    ) -> None:
        policy.check(session.parameters, session.topology)
        if isinstance(vector, np.ndarray):
            session.parameters.check(identity.name, vector)
        member = Member(session, identity, session.parameters.index(identity.name), journal)
        self.name = identity.name
        self._state: State = KnowsVector(member, _made(member, vector), rng, hand or Hand())

    def answer(self, request: bytes) -> bytes:
        """Return the answer to the server's request of this phase; see :class:`ClientRole`."""
        state, self._state = self._state, Finished()
        answer, self._state = state.answer(request)
        return answer


def _made(member: Member, vector: RingVector | Callable[[], RingVector]) -> Callable[[], RingVector]:
    """Return what gives a client's vector; one that is made later is checked then."""

    def give() -> RingVector:
        if isinstance(vector, np.ndarray):
            return vector
        made = vector()
        member.session.parameters.check(member.identity.name, made)
        return made

    return give
