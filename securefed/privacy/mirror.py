"""A mirror: how far a ledger had come, kept in another place, so that a rollback to an older copy shows.

A chain proves that no line before the last was changed; it cannot prove that the last line is the last. A mirror keeps
the number of lines and the last line's digest where the ledger's own backups do not reach: another disk, another
machine's share. It only ever goes forward.

It detects a ledger that is an older copy of itself, one that was made anew, and one that went on from an older copy. It
cannot detect that ledger and mirror were both put back, or that a copy is being charged elsewhere without the mirror.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import final

from securefed.privacy.book import Book
from securefed.privacy.storage import connect, named, writing


@final
class Mirror:
    """One ledger's mirror, open; see the module's text.

    Raises:
        LedgerError: If the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path, "CREATE TABLE IF NOT EXISTS mark (lines INTEGER NOT NULL, head TEXT NOT NULL)")

    def check(self, book: Book) -> None:
        """Check that a ledger has not fallen behind.

        A mirror that is new has nothing to say.

        Raises:
            LedgerError: If it has, or if it is another ledger.
        """
        with named(self._path):
            mark = self._mark()
        if mark is not None:
            book.check_extends(*mark)

    def advance(self, book: Book) -> None:
        """Remember a ledger's state, durably, unless a later one is known already.

        Raises:
            LedgerError: If the mirror cannot be written; the charge that led here stands, its noise must not be drawn.
        """
        with named(self._path), writing(self._connection):
            mark = self._mark()
            if mark is None or mark[0] < len(book.heads):
                self._connection.execute("DELETE FROM mark")
                self._connection.execute("INSERT INTO mark VALUES (?, ?)", (len(book.heads), book.head))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _mark(self) -> tuple[int, str] | None:
        try:
            row: tuple[int, str] | None = self._connection.execute("SELECT lines, head FROM mark").fetchone()
        except sqlite3.OperationalError as error:
            raise sqlite3.DatabaseError(f"not a mirror: {error}") from error
        return row
