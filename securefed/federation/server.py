"""The server of a run over any transport: it opens rounds, carries sums through, moves the adapter, and resumes.

A sum's server is a function of the answers that it was given: keys are not drawn, signatures (Ed25519) are not random.
So a server that was killed is rebuilt from the answers on its disk and sends the very requests that it had sent before;
agents that have answered give the same answers again. No round is lost with it, and no budget is charged twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, final

from securefed.aggregation.desk import Dealt
from securefed.aggregation.encrypted_server import EncryptedServer
from securefed.aggregation.encrypted_session import EncryptedSession
from securefed.aggregation.identity import Identity, Roster
from securefed.aggregation.masked_server import MaskedServer
from securefed.aggregation.members import Members
from securefed.aggregation.parameters import DIGEST, Deal, Parameters
from securefed.aggregation.session import Session
from securefed.errors import ConfigError, ThresholdError
from securefed.federation.deadlines import Deadlines
from securefed.federation.gate import RemoteDecryptor
from securefed.federation.memory import DEALING, Answers, Finished, Memory
from securefed.federation.opening import Opening
from securefed.federation.transport import Exchange, Transport
from securefed.plan import Plan
from securefed.rounds import Round, ServerState, deal_of, parameters_of

if TYPE_CHECKING:
    from securefed.adapters.base import Adapter

FIRST_PHASES = ("advertise", "share")
"""Phases in which nobody has contributed yet: a sum that fails here is attempted again at no cost in budget."""

Observer: TypeAlias = Callable[[int, str, Exchange], None]
"""Called with round, phase and what came of it."""


def unobserved(number: int, phase: str, exchange: Exchange) -> None:
    """Look at nothing."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One run, as its server knows it.

    Attributes:
        name: Of the run.
        plan: The public choices.
        roster: Who is who.
        identity: The server's signing key.
        adapter: The public adapter that the run starts from.
        decryptor: Who decrypts, if sums are encrypted.
        attempts: How often a round is attempted before the run is given up.
    """

    name: str
    plan: Plan
    roster: Roster
    identity: Identity
    adapter: Adapter
    decryptor: RemoteDecryptor | None = None
    attempts: int = 3

    def __post_init__(self) -> None:
        """Refuse a sum that no agent takes part in."""
        if self.plan.secure == "plain":
            raise ConfigError("secure is 'plain'; agents send nothing in the clear: plan with 'mask', 'ckks' or 'bfv'")
        if (self.plan.secure != "mask") != (self.decryptor is not None):
            raise ConfigError(
                f"secure is {self.plan.secure!r}; name a decryptor's socket if, and only if, it needs one"
            )


@final
@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """Runs what is left of a task.

    Attributes:
        task: The run.
        transport: How clients are reached.
        memory: What is over already.
        deadlines: How long to wait for answers.
        observe: Sees every exchange.
    """

    task: Task
    transport: Transport
    memory: Memory
    deadlines: Deadlines
    observe: Observer = field(default=unobserved)

    def rounds(self) -> Iterator[Round]:
        """Yield every round that is left, each once it is on disk.

        Raises:
            ThresholdError: If too few clients answered, as often as the task allows, or after some have contributed:
                they will not contribute to this adapter again, so that no difference of two sums shows anybody's part.
            ProtocolError: If a sum cannot be exact.
        """
        dealt = self._restored()
        for number in range(len(self.memory.finished()) + 1, self.task.plan.rounds + 1):
            if self.task.decryptor is not None:
                yield self._encrypted(number)
                continue
            done, dealt = self._round(number, dealt)
            yield done

    def parameters(self, number: int, attempt: int, deal: Deal) -> Parameters:
        """Return what everybody is told of a round that follows the ones before it."""
        state, previous = self.state(number - 1)
        return parameters_of(
            self.task.plan,
            state.adapter,
            run=self.task.name,
            number=number,
            previous=previous,
            attempt=attempt,
            deal=deal,
        )

    def state(self, number: int | None = None) -> tuple[ServerState, bytes]:
        """Return state and head of the record after a finished round, by default the last one."""
        state, over = ServerState.initial(self.task.adapter), self.memory.finished()[:number]
        if not over:
            return state, bytes(DIGEST)
        last = over[-1]
        return ServerState(state.adapter.restored(last.kept), last.velocity), last.head

    def _restored(self) -> Dealt | None:
        """Return the deal that goes on, from the answers on disk: a server is a function of them."""
        task, known, over = self.task, self.memory.deal(), self.memory.finished()
        if known is None or known[0] > len(over):
            return None
        first, attempt = known
        session = Session(
            self.parameters(first, attempt, deal_of(task.plan, first=first, attempt=attempt)), task.roster
        )
        role = MaskedServer(session, task.identity)
        for place in range(DEALING):
            role.collect(self.memory.answers(place) or {})
        arrived = {session.parameters.index(name) for done in over[first - 1 :] for name in done.survivors}
        return role.dealt.after(Members.of(arrived, session.size)) if role.dealt else None

    def _round(self, number: int, dealt: Dealt | None) -> tuple[Round, Dealt | None]:
        while True:
            attempt = self.memory.attempt(number)
            carried = _Sum(self, number, attempt, dealt)
            try:
                done = carried.run()
            except ThresholdError:
                self.memory.give_up(number)
                if carried.phase not in FIRST_PHASES or attempt + 1 >= self.task.attempts:
                    raise
                continue
            kept, velocity = done.state.adapter.kept(), done.state.velocity
            over = Finished(number, kept, velocity, done.head, done.survivors, done.transcript)
            self.memory.finish(over, deal_goes_on=carried.role.goes_on)
            return done, carried.role.dealt if carried.role.goes_on else None

    def answers(self, number: int, phase: str, place: int, requests: Mapping[str, bytes]) -> Answers:
        """Return a phase's answers from the disk, where they go as they arrive if the phase was not over before."""
        while (answers := self.memory.answers(place)) is None:
            with self.memory.phase(place) as keep:
                exchange = self.transport.exchange(phase, requests, keep, deadline=self.deadlines.of(phase))
                self.deadlines.learn(phase, exchange)
                self.observe(number, phase, exchange)
        return answers

    def _encrypted(self, number: int) -> Round:
        """Carry an encrypted sum: its clients contribute in its only phase, so nothing is attempted twice here."""
        try:
            done = self._decrypted(number)
        except ThresholdError:
            self.memory.give_up(number)
            raise
        kept, velocity = done.state.adapter.kept(), done.state.velocity
        over = Finished(number, kept, velocity, done.head, done.survivors, done.transcript)
        self.memory.finish(over, deal_goes_on=False)
        return done

    def _decrypted(self, number: int) -> Round:
        task, (state, previous), attempt = self.task, self.state(), self.memory.attempt(number)
        parameters = parameters_of(
            task.plan, state.adapter, run=task.name, number=number, previous=previous, attempt=attempt
        )
        if task.decryptor is None:
            raise ConfigError("no decryptor is named")
        scheme, public = task.plan.encryption.scheme, task.decryptor.public
        session = EncryptedSession.unweighted(parameters, task.roster, public, scheme=scheme)
        role = EncryptedServer(session, task.identity, task.decryptor)
        opening = Opening(
            round=number,
            attempt=attempt,
            deal=number,
            dealt=attempt,
            task=task.name,
            plan=parameters.context.plan,
            previous=previous,
            kept=state.adapter.kept(),
            frame=b"",
        )
        role.collect(self.answers(number, role.phase, 0, opening.with_each(role.requests())))
        moved = state.moved(task.plan, task.plan.encoding.decode(role.total()))
        return Round(moved, role.survivors, (), role.head)


@final
class _Sum:
    """One attempt at one round.

    Attributes:
        phase: The phase that was carried last.
        role: The server's part in the sum.
    """

    def __init__(self, server: Server, number: int, attempt: int, dealt: Dealt | None) -> None:
        task, (state, previous) = server.task, server.state()
        begun = deal_of(task.plan, first=number, attempt=attempt)
        deal = dealt.desk.session.parameters.context.deal if dealt else begun
        if dealt is None and server.memory.deal() != (number, attempt):
            server.memory.begin_deal(number, attempt)
        self._server, self._number, self._before = server, number, state
        self._place = DEALING if dealt else 0
        session = Session(server.parameters(number, attempt, deal), task.roster)
        self.role = MaskedServer(session, task.identity, dealt=dealt)
        self._opening = Opening(
            round=number,
            attempt=attempt,
            deal=deal.first,
            dealt=deal.attempt,
            task=task.name,
            plan=bytes.fromhex(task.plan.digest),
            previous=previous,
            kept=state.adapter.kept(),
            frame=b"",
        )
        self.phase = ""

    def run(self) -> Round:
        """Carry every phase, and return what the round leaves behind."""
        role, first = self.role, self._place
        for place in itertools.count(first):
            if not (frames := role.requests()):
                break
            self.phase = role.phase
            requests = self._opening.with_each(frames) if place == first else frames
            role.collect(self._server.answers(self._number, self.phase, place, requests))
        plan = self._server.task.plan
        return Round(
            state=self._before.moved(plan, plan.encoding.decode(role.total())),
            survivors=role.survivors,
            transcript=tuple(role.transcript.lines),
            head=role.transcript.head,
        )
