"""Whether a database was written to, asked so cheaply that every request can ask."""

from __future__ import annotations

import contextlib
import sqlite3

from sqlalchemy import Engine


class Changes:
    """Tells by a number whether anything was committed, by whatever connection of whatever process.

    SQLite counts commits for each connection that looks (``PRAGMA data_version``): a connection of its own, which
    never writes, sees all of them for a few microseconds. A database without such a counter has no number, and
    nothing can be known of it without asking for the rows themselves.
    """

    def __init__(self, engine: Engine) -> None:
        file = engine.url.database if engine.dialect.name == "sqlite" else None
        self._connection: sqlite3.Connection | None = None
        if file and file != ":memory:" and not engine.url.query:
            # No time to wait: it is asked on the event loop's thread.
            self._connection = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)

    def number(self) -> int | None:
        """Return a number that differs from the one before when something was committed; None where unknowable."""
        if self._connection is None:
            return None
        with contextlib.suppress(sqlite3.OperationalError):  # locked for recovery
            row = self._connection.execute("PRAGMA data_version").fetchone()
            return int(row[0])
        return None

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
