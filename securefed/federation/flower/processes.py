"""A party's process with everything that it has started, ended by their own ids: nothing else is touched.

Flower's programs start others, some in sessions of their own, which outlive a killed parent for a while. So what is
ended is the tree under a party's process, found through ``/proc``; a process is known by its id and its start, because
ids are used again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, final

from securefed.errors import ConfigError

END = 20.0
"""Seconds that a party may take to end by itself."""


class Known(NamedTuple):
    """One process of this machine: its id, and when it was started, in ticks since the machine was."""

    pid: int
    start: int


@final
@dataclass(slots=True)
class Process:
    """A party's process, its children, and its log."""

    command: Sequence[str]
    log: Path
    environment: dict[str, str] = field(repr=False)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                self.command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its id."""
        if self._process is None:
            raise ConfigError(f"{self.command[0]} has not been started")
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code, or None while it runs."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """End it and its children at once, as a power cut would."""
        self._kill(stopped_tree(self.pid))

    def end(self) -> None:
        """End it and its children: asked first, killed if they do not listen."""
        if self._process is None:
            return
        found = list(tree(self.pid))
        _send(found[:1], signal.SIGTERM)
        deadline = time.monotonic() + END
        while any(map(is_alive, found)) and time.monotonic() < deadline:
            self._process.poll()
            time.sleep(0.05)
        self._kill([other for each in filter(is_alive, found) for other in stopped_tree(each.pid)])

    def _kill(self, found: Sequence[Known]) -> None:
        _send(found, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()


def tree(pid: int) -> Iterator[Known]:
    """Yield a process and all that it has started, directly or not; nothing if it has ended."""
    children, starts = defaultdict(list), {}
    for place in Path("/proc").glob("[0-9]*"):
        if (found := _stat(int(place.name))) is not None:
            parent, start = found
            children[parent].append(int(place.name))
            starts[int(place.name)] = start
    left = [pid] if pid in starts else []
    while left:
        each = left.pop(0)
        left += children[each]
        yield Known(each, starts[each])


def stopped_tree(pid: int) -> list[Known]:
    """Stop a process and all that it has started, so that none of them starts another, and return them."""
    found: list[Known] = []
    while new := [each for each in tree(pid) if each not in found]:
        _send(new, signal.SIGSTOP)
        found += new
    return found


def is_alive(process: Known) -> bool:
    """Tell whether a process has not ended yet."""
    found = _stat(process.pid)
    return found is not None and found[1] == process.start


def _send(processes: Sequence[Known], number: signal.Signals) -> None:
    for process in filter(is_alive, processes):
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue


def _stat(pid: int) -> tuple[int, int] | None:
    """Return a process's parent and start, or None if it has ended."""
    try:
        # The name, in parentheses, may hold anything; after it, state, parent, and the start as the 20th.
        values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if values[0] in "ZX" else (int(values[1]), int(values[19]))
