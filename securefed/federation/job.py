"""One task from a server's kit, over any transport, into the folder of a run.

::

    OUT/
      plan.toml, roster.json   what was planned, who took part
      server.sqlite            the server's memory: a killed server goes on from here
      transcript/0001.jsonl    signed, hash-chained record of each round's sum
      metrics.jsonl            what was measured, round by round; phases with their seconds, bytes and dropouts
      adapter.safetensors      the released adapter

Clients' ledgers are not here: they are their owners'.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

from safetensors.numpy import save_file

from securefed.federation import kits
from securefed.federation.deadlines import Deadlines
from securefed.federation.memory import Finished, Memory
from securefed.federation.server import Server, Task
from securefed.federation.transport import Exchange, Transport
from securefed.lines import Lines
from securefed.plan import Plan
from securefed.preparation import Materials, prepare


@final
@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A task and where it leaves what comes of it.

    Attributes:
        task: The run.
        materials: The held-out split and the initial adapter.
        out: The run's folder.
    """

    task: Task
    materials: Materials
    out: Path

    @classmethod
    def open(cls, kit: Path, out: Path) -> Self:
        """Read a server's kit; the run's folder is new, or that of the same task.

        Raises:
            ConfigError: If the kit does not hold, or the folder belongs to another run.
        """
        plan = Plan.from_toml(kit / "plan.toml")
        materials = prepare(plan)
        task = kits.open_task(kit, materials, plan)
        (out / "transcript").mkdir(parents=True, exist_ok=True)
        shutil.copy(kit / "roster.json", out / "roster.json")
        shutil.copy(kit / "plan.toml", out / "plan.toml")
        return cls(task, materials, out)

    def run(self, transport: Transport, *, longest: float) -> None:
        """Run what is left, and write the whole run down.

        Args:
            transport: How clients are reached.
            longest: Seconds that a phase may take at most.

        Raises:
            ProtocolError: If a sum failed; what is finished stays, and the job can be run again.
        """
        plan = self.task.plan
        digest = bytes.fromhex(plan.digest)
        # Made anew from what the server remembers of finished rounds.
        (self.out / "metrics.jsonl").unlink(missing_ok=True)
        with (
            Memory(self.out / "server.sqlite", digest=digest, task=self.task.name) as memory,
            Lines(self.out / "metrics.jsonl") as metrics,
        ):
            self._start(metrics)
            for done in memory.finished():
                self._write(done, metrics)

            def observe(number: int, phase: str, exchange: Exchange) -> None:
                dropped = {name: str(dropout) for name, dropout in exchange.dropped.items()}
                sizes = {"sent": exchange.sent, "received": exchange.received, "seconds": exchange.seconds}
                metrics.append(kind="phase", number=number, phase=phase, dropped=dropped, **sizes)

            server = Server(self.task, transport, memory, Deadlines(longest=longest), observe)
            for _ in server.rounds():
                self._write(memory.finished()[-1], metrics)
            state = server.state()[0].released()
            path = self.out / "adapter.safetensors"
            save_file(state.adapter.tensors(), path, metadata={"plan_digest": plan.digest})
            metrics.append(kind="end", adapter_sha256=hashlib.sha256(path.read_bytes()).hexdigest(), seconds={})

    def _start(self, metrics: Lines) -> None:
        task, materials = self.task, self.materials
        metrics.append(
            kind="start",
            run=task.name,
            plan_digest=task.plan.digest,
            roster_root=task.roster.root.hex(),
            zero_shot_accuracy=materials.test.zero_shot(materials.adapter),
            initial_accuracy=materials.test.accuracy(materials.adapter),
        )

    def _write(self, done: Finished, metrics: Lines) -> None:
        """Write down a round that is over: its record, and how good the adapter is."""
        path = self.out / "transcript" / f"{done.number:04d}.jsonl"
        path.write_text("".join(f"{line}\n" for line in done.transcript), encoding="utf-8")
        accuracy = self.materials.test.accuracy(self.materials.adapter.restored(done.kept))
        metrics.append(kind="round", number=done.number, accuracy=accuracy, survivors=done.survivors)
