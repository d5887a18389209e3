"""One task from a server's kit, over any transport, into the folder of a run.

::

    OUT/
      plan.toml, roster.json   what was planned, who took part
      ledger/CLIENT.jsonl      what each client's data was charged: its ledger's export, signed by the client
      transcript/0001.jsonl    signed, hash-chained record of each round's sum
      messages.jsonl           round, phase, size and digest of every message
      metrics.jsonl            what was measured, round by round; phases with their seconds, bytes and dropouts
      adapter.safetensors      the released adapter
      files.json               digests of all these, signed by the server
      resume/server.sqlite     the server's memory until the run is finished: a killed server goes on from here

It is what a run in one process leaves (:mod:`securefed.runs`), without what belongs to the clients' owners; reports and
verification read both alike.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, final

from securefed import checkpoint, inventory
from securefed.aggregation import identity
from securefed.errors import LedgerError, ProtocolError, VerificationError
from securefed.federation import kits, statement
from securefed.federation.deadlines import Deadlines
from securefed.federation.memory import Memory
from securefed.federation.notes import Notes
from securefed.federation.server import Server, Task
from securefed.federation.transport import LEDGERS, Transport
from securefed.plan import Plan
from securefed.preparation import Materials, prepare
from securefed.privacy.ledger import read_export
from securefed.stopwatch import Stopwatch

MEMORY = "server.sqlite"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A task and where it leaves what comes of it.

    Attributes:
        task: The run.
        materials: The held-out split and the initial adapter.
        out: The run's folder.
        watch: Times the stages of this process.
    """

    task: Task
    materials: Materials
    out: Path
    watch: Stopwatch = field(default_factory=Stopwatch)

    @classmethod
    def open(cls, kit: Path, out: Path, *, materials: Materials | None = None, decryptor: Path | None = None) -> Self:
        """Read a server's kit; the run's folder is new, or that of the same task.

        Args:
            kit: The server's folder.
            out: The run's.
            materials: Those of the plan, if they are prepared already.
            decryptor: The socket of the decryptor, if sums are encrypted.

        Raises:
            ConfigError: If the kit does not hold, or the folder belongs to another run.
        """
        plan, watch = Plan.from_toml(kit / "plan.toml"), Stopwatch()
        materials = materials or prepare(plan, stage=watch.stage)
        task = kits.open_task(kit, materials, plan, decryptor=decryptor)
        if not (out / inventory.NAME).exists():
            (out / "transcript").mkdir(parents=True, exist_ok=True)
            for name in ("roster.json", "plan.toml"):
                shutil.copy(kit / name, out / name)
        return cls(task, materials, out, watch)

    def run(self, transport: Transport, *, longest: float) -> None:
        """Run what is left, and write the whole run down; a finished run has nothing left.

        Args:
            transport: How clients are reached.
            longest: Seconds that a phase may take at most.

        Raises:
            ProtocolError: If a sum failed, or a client did not hand out its ledger; what is finished stays, and the job
                can be run again.
        """
        if not (self.out / inventory.NAME).exists():
            self._run(transport, Deadlines(longest=longest))
            inventory.write(self.out, sign=self.task.identity.sign)
        checkpoint.forget(self.out)

    def _run(self, transport: Transport, deadlines: Deadlines) -> None:
        task, digest = self.task, bytes.fromhex(self.task.plan.digest)
        path = self.out / checkpoint.FOLDER / MEMORY
        with (
            Memory(path, digest=digest, task=task.name) as memory,
            Notes(self.out, task, self.materials, self.watch) as notes,
        ):
            notes.begin(memory.finished())
            server = Server(task, transport, memory, deadlines, notes.phase)
            for _ in server.rounds():
                notes.round(memory.finished()[-1])
            adapter = server.state()[0].released().adapter
            notes.release(adapter)
            self._gather_ledgers(transport, deadlines)
            if not notes.are_whole:
                notes.end(adapter)

    def _gather_ledgers(self, transport: Transport, deadlines: Deadlines) -> None:
        """Ask clients for their ledgers; those that are on disk already are not asked for again."""
        task, folder = self.task, self.out / "ledger"
        if not task.plan.private:
            return
        folder.mkdir(exist_ok=True)
        missing = [name for name in task.plan.cohort if not (folder / f"{name}.jsonl").exists()]
        request = statement.ask(task.name, task.identity, task.roster)
        problems: dict[str, str] = {}

        def keep(name: str, export: bytes) -> None:
            try:
                _write(folder / f"{name}.jsonl", export, name=name, public=task.roster.clients[name])
            except (LedgerError, VerificationError) as error:
                problems[name] = str(error)

        exchange = transport.exchange(LEDGERS, dict.fromkeys(missing, request), keep, deadline=deadlines.of(LEDGERS))
        problems |= {name: str(dropout) for name, dropout in exchange.dropped.items()}
        if problems:
            why = "; ".join(f"{name}: {problem}" for name, problem in sorted(problems.items()))
            raise ProtocolError(f"all rounds are over, ledgers are missing: run it again when they are there ({why})")


def _write(path: Path, export: bytes, *, name: str, public: bytes) -> None:
    """Write an export, if it is whole and signed by its client."""
    new = path.with_suffix(".new")
    new.write_bytes(export)
    try:
        read_export(new, verify=lambda signature, message: identity.verify(public, message, signature, name=name))
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
