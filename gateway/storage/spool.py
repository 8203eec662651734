"""A store's listing on disk, in the order of its names, however long it is and in whatever order the store gave it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from gateway.storage.stores.base import StoredObject

ADDITION, REMOVAL, CHANGE = "add", "remove", "change"


@dataclass(frozen=True, slots=True)
class Listed:
    """One object as the store lists it; `path` is relative to its folder."""

    path: str
    size: int
    modified_at: datetime | None
    content_type: str | None


class Spool:
    """Rows of a listing by folder, and what was found different in each: a temporary file, gone with this object.

    Used from one thread at a time, whichever it is.
    """

    def __init__(self) -> None:
        self._file = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._file.executescript(
            """
            PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000;
            CREATE TABLE listed (folder TEXT, path TEXT, size INTEGER, modified REAL, type TEXT);
            CREATE TABLE different (folder TEXT, kind TEXT, path TEXT, size INTEGER, modified REAL, type TEXT);
            BEGIN;
            """
        )

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the file."""
        self._file.close()

    def add(self, rows: Iterable[tuple[str, str, StoredObject]]) -> None:
        """Add objects: folder, path in it, and what is known of it."""
        self._file.executemany(
            "INSERT INTO listed VALUES (?, ?, ?, ?, ?)",
            (
                (folder, path, found.size, found.modified_at and found.modified_at.timestamp(), found.content_type)
                for folder, path, found in rows
            ),
        )

    def arrange(self) -> None:
        """Put the listing into order: after the last `add`."""
        self._file.execute("CREATE INDEX by_name ON listed (folder, path)")

    def folders(self) -> list[tuple[str, int]]:
        """Return the folders, and how many objects are in each."""
        return self._file.execute("SELECT folder, count(*) FROM listed GROUP BY folder ORDER BY folder").fetchall()

    def objects(self, folder: str) -> Iterator[Listed]:
        """Yield the objects of a folder, in the order of their UTF-8."""
        query = "SELECT path, size, modified, type FROM listed WHERE folder = ? ORDER BY path"
        yield from map(_listed, self._file.execute(query, (folder,)))

    def has(self, folder: str, path: str) -> bool:
        """Say whether a folder has an object of this name."""
        query = "SELECT 1 FROM listed WHERE folder = ? AND path = ?"
        return self._file.execute(query, (folder, path)).fetchone() is not None

    def note(self, folder: str, kind: str, found: Listed) -> None:
        """Note a difference."""
        moment = found.modified_at and found.modified_at.timestamp()
        row = (folder, kind, found.path, found.size, moment, found.content_type)
        self._file.execute("INSERT INTO different VALUES (?, ?, ?, ?, ?, ?)", row)

    def differences(self, folder: str, kind: str) -> Iterator[Listed]:
        """Yield the noted differences of one kind."""
        query = "SELECT path, size, modified, type FROM different WHERE folder = ? AND kind = ? ORDER BY path"
        yield from map(_listed, self._file.execute(query, (folder, kind)))

    def count(self, folder: str, kind: str) -> int:
        """Return how many differences of a kind there are."""
        query = "SELECT count(*) FROM different WHERE folder = ? AND kind = ?"
        return int(self._file.execute(query, (folder, kind)).fetchone()[0])

    def differ(self, folder: str) -> bool:
        """Say whether any difference was noted."""
        return self._file.execute("SELECT 1 FROM different WHERE folder = ? LIMIT 1", (folder,)).fetchone() is not None

    def forget(self, folder: str) -> None:
        """Forget a folder: it is going to be listed again."""
        for table in ("listed", "different"):
            self._file.execute(f"DELETE FROM {table} WHERE folder = ?", (folder,))  # noqa: S608


def _listed(row: tuple[str, int, float | None, str | None]) -> Listed:
    path, size, modified, kind = row
    return Listed(path, size, None if modified is None else datetime.fromtimestamp(modified, UTC), kind)
