"""What the server of a run writes down on its way, in the files that a run in one process leaves.

What was measured in a process that died stays; a line that it did not write any more is written by the next one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

from safetensors.numpy import save_file

from securefed.federation.memory import Finished
from securefed.federation.server import Task
from securefed.federation.transport import Exchange
from securefed.lines import Lines
from securefed.preparation import Materials
from securefed.stopwatch import Stopwatch

if TYPE_CHECKING:
    from securefed.adapters.base import Adapter


@final
class Notes:
    """The notes of one run, open while its server lives.

    Args:
        out: Folder of the run.
        task: The run.
        materials: The held-out split and the initial adapter.
        watch: Times the stages of this process.
    """

    def __init__(self, out: Path, task: Task, materials: Materials, watch: Stopwatch) -> None:
        self._out, self._task, self._materials, self._watch = out, task, materials, watch
        self._files = ExitStack()
        self._metrics = self._files.enter_context(Lines(out / "metrics.jsonl"))
        self._messages = self._files.enter_context(Lines(out / "messages.jsonl"))

    def __enter__(self) -> Self:
        """Return the notes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._files.close()

    @property
    def are_whole(self) -> bool:
        """Whether the last line is written."""
        return self._metrics.last.get("kind") == "end"

    def begin(self, finished: Iterable[Finished]) -> None:
        """Write the first line, or what a process that died did not."""
        if not self._metrics.last:
            self._start()
            return
        before = [json.loads(line) for line in (self._out / "metrics.jsonl").read_text("utf-8").splitlines()]
        self._watch.seconds["exchange"] = sum(line["seconds"] for line in before if line["kind"] == "phase")
        noted = {line["number"] for line in before if line["kind"] == "round"}
        for done in finished:
            if done.number not in noted:
                self.round(done)
                noted.add(done.number)
        if not self.are_whole:
            self._metrics.append(kind="resumed", number=max(noted, default=0))

    def phase(self, number: int, phase: str, exchange: Exchange) -> None:
        """Note an exchange: its seconds and dropouts, and size and SHA-256 of every message."""
        dropped = {name: str(dropout) for name, dropout in exchange.dropped.items()}
        sizes = {"sent": exchange.sent, "received": exchange.received, "seconds": exchange.seconds}
        self._metrics.append(kind="phase", number=number, phase=phase, dropped=dropped, **sizes)
        self._watch.seconds["exchange"] = self._watch.seconds.get("exchange", 0.0) + exchange.seconds
        for direction, messages in (("request", exchange.requests), ("answer", exchange.replies)):
            for name, message in messages.items():
                self._messages.seen(number, phase, name, direction, message)

    def round(self, done: Finished) -> None:
        """Note a round that is over: its record, and how good the adapter is."""
        if done.transcript:
            path = self._out / "transcript" / f"{done.number:04d}.jsonl"
            path.write_text("".join(f"{line}\n" for line in done.transcript), encoding="utf-8")
        adapter = self._materials.adapter.restored(done.kept)
        if done.number == self._task.plan.rounds:
            adapter = adapter.released()
        with self._watch.stage("evaluate"):
            accuracy = self._materials.test.accuracy(adapter)
        self._metrics.append(kind="round", number=done.number, accuracy=accuracy, survivors=done.survivors)

    def release(self, adapter: Adapter) -> None:
        """Write the released adapter."""
        save_file(adapter.tensors(), self._adapter, metadata={"plan_digest": self._task.plan.digest})

    def end(self, adapter: Adapter) -> None:
        """Write the last line."""
        digest, seconds = hashlib.sha256(self._adapter.read_bytes()).hexdigest(), self._watch.seconds
        values: dict[str, Any] = {"adapter_sha256": digest, "seconds": seconds}
        self._metrics.append(kind="end", **values, **self._materials.beyond(adapter))

    @property
    def _adapter(self) -> Path:
        return self._out / "adapter.safetensors"

    def _start(self) -> None:
        task, materials = self._task, self._materials
        self._metrics.append(
            kind="start",
            run=task.name,
            plan_digest=task.plan.digest,
            # The server gave nobody a seed. Whether clients chose one stands in their own, signed ledgers.
            secret_noise=True,
            roster_root=task.roster.root.hex(),
            zero_shot_accuracy=materials.test.zero_shot(materials.adapter),
            initial_accuracy=materials.test.accuracy(materials.adapter),
        )
