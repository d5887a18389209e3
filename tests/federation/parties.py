"""Federations of agents for tests: toys' data, ledgers and journals on disk, noise that can be repeated."""

from __future__ import annotations

import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

from securefed.aggregation.decryptor import Decryptor
from securefed.aggregation.encrypted_session import DECRYPTOR
from securefed.aggregation.identity import Federation, Identity
from securefed.aggregation.journal import Journal
from securefed.aggregation.masked_client import LEAST
from securefed.federation import door
from securefed.federation.agent import Agent, Owner
from securefed.federation.deadlines import Deadlines
from securefed.federation.gate import ENCRYPTED, Gate, RemoteDecryptor
from securefed.federation.memory import Memory
from securefed.federation.server import Server, Task
from securefed.privacy.ledger import Ledger
from securefed.rng import secure, seeded
from tests import toys

RUN = "run"


@contextmanager
def behind(path, party):
    """Serve a party on a socket, from a thread that is over when the block is."""
    there, stop = threading.Event(), threading.Event()
    settings = {"stopped": stop.is_set, "opened": there.set}
    thread = threading.Thread(target=door.serve, args=(party, path), kwargs=settings, daemon=True)
    thread.start()
    try:
        if not there.wait(10):
            raise TimeoutError(f"nobody listens at {path}")
        yield
    finally:
        stop.set()
        thread.join()


def repeatable(purpose, number, client):
    return seeded(11, purpose, number, client)


class Federated:
    """Agents and a task in one folder; agents can be killed and started again."""

    def __init__(self, folder, plan, *, policy=LEAST, rng=repeatable):
        self.folder, self.plan, self.policy, self.rng = folder, plan, policy, rng
        self.members = Federation.throwaway(plan.cohort, rng=secure())
        self.sockets = ExitStack()
        self.decryptor = Identity(DECRYPTOR, secure().bytes(32)) if plan.secure in ENCRYPTED else None
        remote = RemoteDecryptor(self._gate(), self.decryptor.public) if self.decryptor else None
        self.task = Task(RUN, plan, self.members.roster, self.members.server, toys.adapter(), remote)
        self.files = {name: ExitStack() for name in plan.cohort}
        self.agents = {name: self._agent(name) for name in plan.cohort}

    def _gate(self):
        """Serve the decryptor on a socket, from a thread."""
        path = Path(self.sockets.enter_context(tempfile.TemporaryDirectory(prefix="sf-"))) / "decryptor.sock"
        roster = self.members.roster
        self.gate = Gate(self.plan, RUN, self.decryptor, roster, Decryptor(self.decryptor, roster, rng=secure()))
        self.sockets.enter_context(behind(path, self.gate))
        return path

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
            decryptor=self.decryptor.public if self.decryptor else b"",
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
        self.sockets.close()
        for files in self.files.values():
            files.close()
