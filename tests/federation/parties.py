"""Federations of agents for tests: toys' data, ledgers and journals on disk, noise that can be repeated."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

from securefed.aggregation.identity import Federation
from securefed.aggregation.journal import Journal
from securefed.aggregation.masked_client import LEAST
from securefed.federation.agent import Agent, Owner
from securefed.federation.deadlines import Deadlines
from securefed.federation.memory import Memory
from securefed.federation.server import Server, Task
from securefed.privacy.ledger import Ledger
from securefed.rng import secure, seeded
from tests import toys

RUN = "run"


def repeatable(purpose, number, client):
    return seeded(11, purpose, number, client)


class Federated:
    """Agents and a task in one folder; agents can be killed and started again."""

    def __init__(self, folder, plan, *, policy=LEAST, rng=repeatable):
        self.folder, self.plan, self.policy, self.rng = folder, plan, policy, rng
        self.members = Federation.throwaway(plan.cohort, rng=secure())
        self.task = Task(RUN, plan, self.members.roster, self.members.server, toys.adapter())
        self.files = {name: ExitStack() for name in plan.cohort}
        self.agents = {name: self._agent(name) for name in plan.cohort}

    def _agent(self, name):
        path = self.folder / f"{name}.ledger"
        plan, files = self.plan, self.files[name]
        ledger = Ledger.open(path, dataset=name, budget_epsilon=plan.epsilon, budget_delta=plan.delta)
        files.callback(ledger.close)
        journal = Journal(self.folder / f"{name}.journal")
        files.callback(journal.close)
        (client,) = (each for each in toys.clients(plan, {name: ledger}) if each.name == name)
        owner = Owner(
            plan=plan,
            adapter=toys.adapter(),
            client=client,
            identity=self.members.clients[name],
            roster=self.members.roster,
            policy=self.policy,
            journal=journal,
            rng=self.rng,
        )
        return Agent(owner)

    def kill(self, name):
        """End an agent and start it again: what it held in memory is gone."""
        self.files[name].close()
        self.agents[name] = self._agent(name)

    def charged(self, name):
        """Rounds that a client's data was charged for."""
        path = self.folder / f"{name}.ledger"
        ledger = Ledger.open(path, dataset=name, budget_epsilon=self.plan.epsilon, budget_delta=self.plan.delta)
        try:
            return [entry.round for entry in ledger.read().entries]
        finally:
            ledger.close()

    @contextmanager
    def server(self, transport, **changes):
        with Memory(self.folder / "server", digest=bytes.fromhex(self.plan.digest), task=RUN) as memory:
            yield Server(self.task, transport, memory, Deadlines(longest=60), **changes)

    def close(self):
        for files in self.files.values():
            files.close()
