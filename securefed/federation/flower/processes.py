"""A party's process with everything that it has started, ended by their own ids: nothing else is touched.

Flower's programs start others, some in sessions of their own, which outlive a killed parent for a while. So what is
ended is the tree under a party's process, found through ``/proc``; a process is known by its id and its start, because
ids are used again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
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

    def tree(self) -> list[Known]:
        """It and all that it has started, directly or not; nothing if it does not run."""
        return [] if self._process is None or self.code is not None else list(tree(self.pid))

    def kill(self) -> None:
        """End it and its children at once, as a power cut would."""
        _send(stopped_tree(self.pid), signal.SIGKILL)
        self.wait()

    def end(self) -> None:
        """End it and its children: asked first, killed if they do not listen."""
        end([self])

    def wait(self) -> None:
        """Wait until it has ended, if it was ever started."""
        if self._process is not None:
            self._process.wait()


@contextmanager
def starting() -> Iterator[Callable[[Process], Process]]:
    """Give what starts processes; all of them have ended when the block has, even if Ctrl-C is pressed meanwhile."""
    parties: list[Process] = []

    def start(party: Process) -> Process:
        parties.append(party)
        party.start()
        return party

    try:
        yield start
    finally:
        with _undisturbed():
            end(parties)


def end(parties: Sequence[Process]) -> None:
    """End processes and their children side by side: asked first, killed if they do not listen."""
    # A SuperExec whose SuperNode alone is asked looks for it until it is killed.
    found = list(chain.from_iterable(party.tree() for party in parties))
    _send(found, signal.SIGTERM)
    deaf = [other for each in _left(found) for other in stopped_tree(each.pid)]
    _send(deaf, signal.SIGKILL)
    _left(deaf)
    for party in parties:
        party.wait()


def _left(processes: Sequence[Known]) -> list[Known]:
    """Return those that have not ended by themselves in time."""
    deadline = time.monotonic() + END
    while (left := list(filter(is_alive, processes))) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let nobody interrupt the block: what is asked to end is ending already."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python interrupts its main thread alone
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
