"""The rounds of a run, written down as they happen, from the first or from where they were left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

import numpy as np
from rich.console import Console

from securefed import rng as randomness
from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.identity import Federation
from securefed.aggregation.table import Table
from securefed.checkpoint import Beginning, Checkpoint
from securefed.errors import ConfigError
from securefed.lines import Lines
from securefed.plan import Plan
from securefed.preparation import Materials
from securefed.privacy.ledger import Ledger
from securefed.rounds import Client, Owners, Round, ServerState, Sources, parameters_of, run_round
from securefed.stopwatch import Stopwatch

VANISH_PHASES = ("mask", "encrypt", "plain")
"""Where a simulated dropout leaves: keys and shares are out, noise is drawn, its vector never arrives."""


@final
@dataclass(frozen=True, slots=True)
class Terms:
    """What is chosen each time that a run begins or goes on.

    Attributes:
        rng: Where each client's noise and keys come from.
        on_round: Told after each round its number and the accuracy on the held-out split.
        console: Shows the progress of encoding.
    """

    rng: Sources
    on_round: Callable[[int, float], None]
    console: Console | None


@final
@dataclass(frozen=True, slots=True, eq=False)
class Journey:
    """One run, with everything that its rounds need and where they are noted."""

    plan: Plan
    out: Path
    beginning: Beginning
    members: Federation
    owners: Owners
    materials: Materials
    books: Mapping[str, Ledger]
    metrics: Lines
    messages: Lines
    watch: Stopwatch

    def train(self, known: Checkpoint, terms: Terms) -> ServerState:
        """Run all rounds that are left and write down what happens."""
        plan, run = self.plan, self.beginning.run
        clients = [
            Client(
                name=name,
                features=shard.features,
                labels=shard.labels,
                ledger=self.books.get(name),
                batches=plan.batches(run) if plan.private else None,
            )
            for name, shard in self.materials.shards.items()
        ]
        decryptor = Decryptor.throwaway(self.members.roster, rng=randomness.secure())
        self._start(known)
        state, head, table = known.state(self.materials.adapter), known.head, Table()
        dealt = not known.attempt  # this process has dealt the parts of the pass that it is in
        for number in range(known.number + 1, plan.rounds + 1):
            done = self._lost(state, head, number) if known.attempt and number == known.number + 1 else None
            if done is None and not dealt:
                self._check_parts(number)
                dealt = True
            done = done or run_round(
                plan,
                state,
                clients,
                run=run,
                number=number,
                rng=terms.rng,
                members=self.members,
                decryptor=decryptor,
                owners=self.owners,
                previous=head,
                attempt=known.attempt,
                table=table,
                lost=partial(_is_lost, absent(plan, number, self.beginning.vanishing)),
                record=partial(self.messages.message, number),
                stage=self.watch.stage,
            )
            state, head = done.state, done.head
            now = Checkpoint.after(done, number=number, attempt=known.attempt, seconds=self.watch.seconds)
            now.write(self.out)
            terms.on_round(number, self._note(now, state))
        return state.released()

    def _start(self, known: Checkpoint) -> None:
        """Write down where the rounds begin, and what the process before this one was about to."""
        if not self.metrics.last:
            known.write(self.out)
            self.metrics.append(
                kind="start",
                run=self.beginning.run,
                plan_digest=self.plan.digest,
                secret_noise=self.beginning.is_secret,
                roster_root=self.members.roster.root.hex(),
                zero_shot_accuracy=self.materials.test.zero_shot(self.materials.adapter),
                initial_accuracy=self.materials.test.accuracy(self.materials.adapter),
            )
        if not known.attempt:
            return
        if known.number > self.metrics.last.get("number", 0) and self.metrics.last["kind"] != "end":
            self._note(known, known.state(self.materials.adapter))
        if self.metrics.last["kind"] != "end":
            self.metrics.append(kind="resumed", number=known.number, attempt=known.attempt)
        known.write(self.out)  # the attempt counts from now on: no journal begins it twice

    def _note(self, now: Checkpoint, state: ServerState) -> float:
        """Write down a round that is over, and return the accuracy after it."""
        if now.transcript:
            path = self.out / "transcript" / f"{now.number:04d}.jsonl"
            path.write_text("".join(f"{line}\n" for line in now.transcript), encoding="utf-8")
        adapter = state.released().adapter if now.number == self.plan.rounds else state.adapter
        with self.watch.stage("evaluate"):
            accuracy = self.materials.test.accuracy(adapter)
        self.metrics.append(kind="round", number=now.number, accuracy=accuracy, survivors=now.survivors)
        return accuracy

    def _lost(self, state: ServerState, head: bytes, number: int) -> Round | None:
        """Return what a round leaves behind whose contributions may have left before it was over; None if none has.

        Raises:
            ConfigError: If the adapter stays where it was: nobody would contribute to it again.
        """
        plan = self.plan
        context = parameters_of(plan, state.adapter, run=self.beginning.run, number=number, previous=head).context
        if not any(journal.has_contributed(context) for journal in self.owners.journals.values()):
            return None
        moved = state.moved(plan, np.zeros(plan.dim))
        if np.array_equal(moved.adapter.vector(), state.adapter.vector()):
            raise ConfigError(
                f"round {number} was lost when contributions had left. It stays charged, and clients contribute to a "
                f"model once; without momentum the model stays the same. Run a plan of {plan.rounds - number} rounds "
                f"on the same ledgers, in {self.beginning.ledgers}"
            )
        return Round(state=moved, survivors=(), transcript=(), head=head)

    def _check_parts(self, number: int) -> None:
        """Refuse to go on within a pass: who is in which part of a shuffled order was only in the dead process."""
        if self.plan.sampling == "shuffled" and (number - 1) * self.plan.steps % self.plan.parts:
            raise ConfigError(
                f"round {number} is in the middle of a pass over a shuffled order, which died with its process; "
                f"run a plan of {self.plan.rounds - number + 1} rounds on the ledgers in {self.beginning.ledgers}"
            )


def absent(plan: Plan, number: int, vanishing: int) -> frozenset[str]:
    """Return who vanishes in a round: the next ``vanishing`` clients in turn."""
    start = (number - 1) * vanishing
    return frozenset(plan.cohort[(start + i) % plan.clients] for i in range(vanishing))


def _is_lost(gone: frozenset[str], phase: str, client: str) -> bool:
    return phase in VANISH_PHASES and client in gone
