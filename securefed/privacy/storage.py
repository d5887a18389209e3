"""Durable files: SQLite with every commit on disk before it returns, and errors that name the file and a way out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from securefed.errors import LedgerError

PATIENCE = 30.0
"""Seconds that a write waits for another process that is writing to the same file."""


def connect(path: Path, *tables: str) -> sqlite3.Connection:
    """Open a file, or make it with its folder and tables.

    Raises:
        LedgerError: If it cannot be used.
    """
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        try:
            # With a write-ahead log, FULL still means on disk before COMMIT returns, by one flush instead of four.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            for table in tables:
                connection.execute(table)
        except sqlite3.Error:
            connection.close()
            raise
    return connection


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the one write lock; commit at the end, or leave everything as it was."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Give errors of disk and database the file's name and a way out."""
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(
            f"{path} cannot be used: {error}. Nothing may be drawn or sent; check the disk, the folder's rights and "
            "whether another process holds the file. A charge that failed here counts only if the ledger shows it"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path} cannot be used: {error}. Check the disk and the folder's rights") from error
