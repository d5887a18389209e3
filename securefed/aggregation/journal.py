"""What a client must not forget between sums: rounds begun, models contributed to, contexts unmasked.

Every entry is on disk before the message that it allows leaves the client; a crash in between costs a round, never
privacy. SQLite keeps it durable and lets one process write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import final

from securefed.aggregation.exclusive import opened
from securefed.aggregation.parameters import Context
from securefed.aggregation.refusals import Replay

_SCHEMA = """
CREATE TABLE IF NOT EXISTS begun (task TEXT, round INTEGER, attempt INTEGER, PRIMARY KEY (task, round, attempt));
CREATE TABLE IF NOT EXISTS contributed (task TEXT, model BLOB, PRIMARY KEY (task, model));
CREATE TABLE IF NOT EXISTS revealed (context BLOB PRIMARY KEY);
"""


@final
class Journal:
    """One client's memory.

    Guarantees:
        * In one task rounds and attempts only go up.
        * A model of a task is contributed to once, whatever the cohort, round or attempt.
        * Shares are revealed once in a context.

    It cannot see that its own file was replaced by an older copy: keep it out of backups that restore themselves.
    """

    def __init__(self, path: Path) -> None:
        self._database = opened(path, _SCHEMA)
        # With a write-ahead log, a commit is on disk by one flush instead of four. Nothing here is ever deleted, so
        # nothing is left in the log that should not be.
        self._database.execute("PRAGMA journal_mode = WAL")

    def begin(self, context: Context) -> None:
        """Note that a round is begun.

        Raises:
            Replay: If this or a later one was begun before, or the model was contributed to.
        """
        last = self._database.execute(
            "SELECT round, attempt FROM begun WHERE task = ? ORDER BY round DESC, attempt DESC LIMIT 1", (context.task,)
        ).fetchone()
        if last is not None and (context.round, context.attempt) <= last:
            raise Replay(
                f"round {context.round}, attempt {context.attempt} of {context.task!r} is not after round {last[0]}, "
                f"attempt {last[1]}"
            )
        if self.has_contributed(context):
            raise Replay(f"this model of {context.task!r} was contributed to before, in another cohort or attempt")
        self._write("INSERT INTO begun VALUES (?, ?, ?)", context.task, context.round, context.attempt)

    def contribute(self, context: Context) -> None:
        """Note that a masked vector leaves.

        Raises:
            Replay: If one has left for this model before.
        """
        if not self._write("INSERT OR IGNORE INTO contributed VALUES (?, ?)", context.task, context.model):
            raise Replay(f"this model of {context.task!r} was contributed to before")

    def take_part(self, context: Context) -> None:
        """Note in one write that a round is begun and that a masked vector leaves: after a crash both hold, or neither.

        Raises:
            Replay: As :meth:`begin` and :meth:`contribute` do; then nothing is noted.
        """
        with self._database:
            self._database.execute("BEGIN")
            self.begin(context)
            self.contribute(context)

    def has_contributed(self, context: Context) -> bool:
        """Tell whether a vector may have left for this model of this task."""
        return self._has("SELECT 1 FROM contributed WHERE task = ? AND model = ?", context.task, context.model)

    def reveal(self, context: bytes) -> None:
        """Note that shares are revealed in a context.

        Raises:
            Replay: If they were before.
        """
        if not self._write("INSERT OR IGNORE INTO revealed VALUES (?)", context):
            raise Replay("shares were revealed in this context before")

    def close(self) -> None:
        """Let another process use the file."""
        self._database.close()

    def _has(self, query: str, *values: object) -> bool:
        return self._database.execute(query, values).fetchone() is not None

    def _write(self, statement: str, *values: object) -> bool:
        return self._database.execute(statement, values).rowcount > 0


@contextmanager
def open_journals(folder: Path, names: Iterable[str]) -> Iterator[dict[str, Journal]]:
    """Open the journals of several clients that run in one process, and close them at the end.

    Args:
        folder: Where they are, or will be, one file a client; only its owner may look into a new one.
        names: The clients' names.

    Raises:
        ConfigError: If one of them cannot be used; the others are closed again.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        journals = {}
        for name in names:
            journals[name] = journal = Journal(folder / f"{name}.sqlite")
            stack.callback(journal.close)
        yield journals
