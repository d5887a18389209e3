"""A SQLite file that one process has to itself, and whose writes are on disk when they return."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from securefed.errors import ConfigError


def opened(path: Path, schema: str) -> sqlite3.Connection:
    """Open a file, made if need be for its owner's eyes only, until the connection is closed or its process ends.

    What is deleted in it is overwritten, not only forgotten; the rollback journal, where SQLite notes it meanwhile, is
    emptied.

    Args:
        path: The file.
        schema: Statements that make its tables, if they are not there.

    Raises:
        ConfigError: If it cannot be used, or another process has it.
    """
    path.touch(mode=0o600, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA journal_size_limit = 0")
        database.executescript(f"BEGIN EXCLUSIVE; {schema} COMMIT;")
    except sqlite3.DatabaseError as error:
        database.close()
        raise ConfigError(f"{path} cannot be used: {error}. Is another process using it?") from error
    return database
