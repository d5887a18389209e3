"""The client of a masked sum."""

from __future__ import annotations

from typing import final

from securefed.aggregation.base import ClientRole
from securefed.aggregation.client_states import Finished, KnowsVector, State
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
        vector: Its vector, shape ``(dim,)``, coordinates below ``2**bits``.
        rng: Where its secrets come from.
        policy: The floor that its owner set.
        journal: What it remembers of earlier sums; None remembers nothing beyond this one.

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
        vector: RingVector,
        *,
        rng: Source,
        policy: Policy = LEAST,
        journal: Journal | None = None,
    ) -> None:
        policy.check(session.parameters, session.topology)
        session.parameters.check(identity.name, vector)
        member = Member(session, identity, session.parameters.index(identity.name), journal)
        self.name = identity.name
        self._state: State = KnowsVector(member, vector, rng)

    def answer(self, request: bytes) -> bytes:
        """Return the answer to the server's request of this phase; see :class:`ClientRole`."""
        state, self._state = self._state, Finished()
        answer, self._state = state.answer(request)
        return answer
