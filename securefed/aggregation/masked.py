"""The masked sum: the server learns the sum of the survivors' vectors and nothing else about them.

After Bonawitz et al. (2017), "Practical Secure Aggregation for Privacy-Preserving Machine Learning", Figure 4 (the
variant for active adversaries). Five phases:

========= ============================ ==================================================================
advertise PLAN, ADVERT                 clients draw fresh keys for this sum and sign them
share     KEYS, SHARES                 each shares its secrets among all, sealed and committed to
mask      INBOX, MASKED                each sends its vector under a self mask and pairwise masks
agree     SURVIVORS, AGREEMENT         each signs who survived
reveal    SIGNATURES, REVEAL           each reveals, per owner, a share of one of its two secrets
========= ============================ ==================================================================

Keys and shares that are dealt for several rounds leave two phases to the others: mask, which PLAN opens, and agree, in
which survivors reveal under locks (:mod:`securefed.aggregation.lock`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

from securefed.aggregation.base import SecureSum
from securefed.aggregation.identity import Federation
from securefed.aggregation.journal import Journal
from securefed.aggregation.masked_client import LEAST, MaskedClient
from securefed.aggregation.masked_server import MaskedServer
from securefed.aggregation.parameters import Parameters
from securefed.aggregation.policy import Policy
from securefed.aggregation.session import Session
from securefed.aggregation.table import Table
from securefed.encoding import RingVector
from securefed.errors import ConfigError
from securefed.rng import Source, secure


@final
@dataclass(frozen=True)
class MaskedSum(SecureSum):
    """Masked sums in one process.

    Parties on machines of their own make :class:`MaskedClient` and :class:`MaskedServer` themselves, each with its own
    identity and its own copy of the roster.

    Guarantees:
        * The total equals that of :class:`securefed.aggregation.plain.PlainSum` over the survivors, bit for bit, or
          the sum is aborted with an error that names the reason.

    Attributes:
        parameters: What everybody knows about this sum.
        members: The parties' identities; by default fresh ones that live as long as this object.
        policy: The floor of every client.
        journals: What clients remember of earlier sums, by name; those without one remember nothing.
        table: What was dealt in earlier rounds, and is for the next ones; by default nothing.

    Raises:
        ConfigError: If a client of the cohort has no identity.
    """

    parameters: Parameters
    members: Federation | None = None
    policy: Policy = LEAST
    journals: Mapping[str, Journal] = field(default_factory=dict)
    table: Table = field(default_factory=Table)

    def __post_init__(self) -> None:
        """Refuse a cohort of strangers."""
        if missing := set(self.parameters.cohort) - set(self._federation.clients):
            raise ConfigError(f"{sorted(missing)} are in the cohort but have no identity")

    def client(self, name: str, vector: RingVector, *, rng: Source) -> MaskedClient:
        """Return the role of one client; see :class:`SecureSum`."""
        self.parameters.index(name)
        identity, journal = self._federation.clients[name], self.journals.get(name)
        hand = self.table.hand(name)
        return MaskedClient(self._session, identity, vector, rng=rng, policy=self.policy, journal=journal, hand=hand)

    def server(self) -> MaskedServer:
        """Return the role of the server."""
        return MaskedServer(self._session, self._federation.server, dealt=self.table.dealt)

    @cached_property
    def _federation(self) -> Federation:
        return self.members or Federation.throwaway(self.parameters.cohort, rng=secure())

    @cached_property
    def _session(self) -> Session:
        return Session(self.parameters, self._federation.roster)
