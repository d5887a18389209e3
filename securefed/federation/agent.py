"""The client's trusted side: it owns data, keys, policy, ledger and journal, and answers protocol messages only.

Whoever carries messages to it (Flower's ClientApp, which a SuperLink ships; a socket; a test) gains nothing that a
hostile network would not have: it can delay, drop and replay. There is no message that asks for data, a second unmask
or a lower threshold; what a request demands is checked against files that no request can change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, final

from securefed import rng as randomness
from securefed.aggregation.base import ClientRole
from securefed.aggregation.encrypted_client import EncryptedClient
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.hand import Hand
from securefed.aggregation.identity import Identity, Roster
from securefed.aggregation.journal import Journal
from securefed.aggregation.masked_client import MaskedClient
from securefed.aggregation.parameters import Parameters
from securefed.aggregation.policy import Policy
from securefed.aggregation.refusals import Malformed, WrongContext
from securefed.aggregation.session import Session
from securefed.encoding import RingVector
from securefed.errors import ConfigError, OutOfTurn
from securefed.federation import statement
from securefed.federation.greeting import introduce, is_challenge
from securefed.federation.opening import Opening, is_opening
from securefed.plan import Plan
from securefed.rng import Source
from securefed.rounds import Client, Sources, contribution, deal_of, parameters_of

if TYPE_CHECKING:
    from securefed.adapters.base import Adapter


def unpredictable(purpose: str, number: int, client: str) -> Source:
    """Draw everything from the operating system."""
    return randomness.secure()


@final
@dataclass(frozen=True, slots=True, eq=False)
class Owner:
    """What one client's owner has decided and keeps, all of it from local files.

    Attributes:
        plan: The only plan that this client takes part in.
        adapter: The public adapter that the run starts from.
        client: Data and ledger.
        identity: The client's signing key.
        roster: Who is who, pinned.
        policy: The floor.
        journal: What the client remembers of earlier sums.
        decryptor: The decryptor's Ed25519 public key, pinned; empty if sums are masked.
        rng: Where noise and keys come from; tests alone name another.

    Raises:
        ConfigError: If the plan is one that an agent does not serve, or client and key are not of the same name.
    """

    plan: Plan
    adapter: Adapter
    client: Client
    identity: Identity
    roster: Roster
    policy: Policy
    journal: Journal
    decryptor: bytes = b""
    rng: Sources = field(default=unpredictable)

    def __post_init__(self) -> None:
        """Refuse what would be sent in the clear, or what a restart would deal anew."""
        if self.plan.secure == "plain":
            raise ConfigError("secure is 'plain'; an agent sends nothing in the clear: plan with 'mask' or 'ckks'")
        if (self.plan.secure != "mask") != bool(self.decryptor):
            raise ConfigError(f"secure is {self.plan.secure!r}; a kit names a decryptor if, and only if, it needs one")
        if self.plan.sampling == "shuffled":
            raise ConfigError("a shuffled order does not outlive an agent's process; plan with 'full' or 'poisson'")
        if self.identity.name != self.client.name:
            raise ConfigError(f"the key is {self.identity.name!r}'s, the data {self.client.name!r}'s")
        self.policy.check_clip(self.plan.clip_norm)


@final
class Agent:
    """Answers requests; holds the role of at most one sum.

    Guarantees:
        * For one model of a task a ledger is charged at most once, whatever is replayed and whoever is killed when: the
          journal notes the contribution on disk before the charge, and refuses another.
        * A request that was just answered gets the same answer again, byte for byte, so a server that lost it can ask
          again and learns nothing new. An earlier one of the same sum is refused, and changes nothing.
        * Secrets of a sum live in this process only, and no longer than its role needs them: those of later rounds that
          were dealt already until their round is over.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._role: ClientRole | None = None
        self._hand = Hand()
        self._seen: set[bytes] = set()
        self._last: tuple[bytes, bytes] | None = None

    def answer(self, request: bytes) -> bytes:
        """Return the answer to a request.

        Raises:
            ProtocolError: If no honest server would have sent it; the sum that it belongs to is over for this client.
            BudgetExceeded: If the ledger refuses.
        """
        if is_challenge(request):
            return introduce(request, self._owner.identity, self._owner.roster)
        if statement.is_asked(request):
            return self._statement(request)
        digest = hashlib.sha256(request).digest()
        if self._last is not None and self._last[0] == digest:
            return self._last[1]
        if digest in self._seen:
            raise OutOfTurn("this request was answered before, and another one after it")
        answer = self._open(Opening.of(request)) if is_opening(request) else self._continue(request)
        self._seen.add(digest)
        self._last = (digest, answer)
        return answer

    def _statement(self, request: bytes) -> bytes:
        """Return the ledger's export: it changes nothing, and may be asked for again."""
        owner = self._owner
        statement.check(request, owner.roster)
        if owner.client.ledger is None:
            raise WrongContext("a run without privacy has no ledgers")
        return owner.client.ledger.exported(sign=owner.identity.sign).encode()

    def _open(self, opening: Opening) -> bytes:
        """Begin a sum: everything is checked before the first secret is drawn."""
        role = self._joined(*self._told(opening))
        answer = role.answer(opening.frame)
        self._role, self._seen = role, set()
        return answer

    def _continue(self, request: bytes) -> bytes:
        if self._role is None:
            raise OutOfTurn("no round has been opened since this agent started; it takes part again in the next")
        return self._role.answer(request)

    def _joined(self, parameters: Parameters, contribute: Callable[[], RingVector]) -> ClientRole:
        """Return this client's role in a sum of the plan's kind."""
        owner = self._owner
        rng = owner.rng("keys", parameters.context.round, owner.client.name)
        if not owner.decryptor:
            session = Session(parameters, owner.roster)
            return MaskedClient(
                session,
                owner.identity,
                contribute,
                rng=rng,
                policy=owner.policy,
                journal=owner.journal,
                hand=self._hand,
            )
        scheme = owner.plan.encryption.scheme
        encrypted = EncryptedSession.unweighted(parameters, owner.roster, owner.decryptor, scheme=scheme)
        return EncryptedClient(
            encrypted, owner.identity, contribute, rng=rng, policy=owner.policy, journal=owner.journal
        )

    def _told(self, opening: Opening) -> tuple[Parameters, Callable[[], RingVector]]:
        """Return the sum that an opening leads to if the owner's plan is what it says, and what will be added to it."""
        owner, plan = self._owner, self._owner.plan
        if opening.plan != bytes.fromhex(plan.digest):
            raise WrongContext("the round belongs to another plan than the one that this client's owner chose")
        if not 1 <= opening.deal <= opening.round <= plan.rounds:
            raise WrongContext(
                f"round {opening.round}, with keys of round {opening.deal}, is not one of the plan's {plan.rounds}"
            )
        adapter = _restored(owner.adapter, opening)
        parameters = parameters_of(
            plan,
            adapter,
            run=opening.task,
            number=opening.round,
            previous=opening.previous,
            attempt=opening.attempt,
            deal=deal_of(plan, first=opening.deal, attempt=opening.dealt),
        )
        noise = owner.rng("noise", opening.round, owner.client.name)
        contribute = partial(
            contribution, plan, adapter, owner.client, run=opening.task, number=opening.round, rng=noise
        )
        return parameters, contribute


def _restored(adapter: Adapter, opening: Opening) -> Adapter:
    """Return the adapter that a round starts from.

    Raises:
        Malformed: If the opening's has other parts than the plan's.
    """
    planned, told = ({name: tensor.shape for name, tensor in kept.items()} for kept in (adapter.kept(), opening.kept))
    if told != planned:
        raise Malformed(f"the adapter has parts of shape {told}, the plan's has {planned}")
    return adapter.restored(opening.kept)
