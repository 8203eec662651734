"""One job's rows of the catalogue beside what its store lists: two sorted lists, merged."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from gateway.db import reconciling
from gateway.db.outputs import count_in
from gateway.db.reconciling import Entry
from gateway.storage.manifest import RESERVED
from gateway.storage.names import ESCAPE, comparable
from gateway.storage.spool import ADDITION, CHANGE, REMOVAL, Listed, Spool

LOST = "\N{REPLACEMENT CHARACTER}"
"""Stands for bytes of a name that are not UTF-8 in the listings of rclone."""


class Comparison:
    """Notes in the spool what differs, and whether the kept totals are those of the rows."""

    def __init__(self, spool: Spool, folder: str) -> None:
        self.spool = spool
        self.folder = folder
        self._odd_rows: dict[str, Entry] = {}
        self._odd_objects: dict[str, Listed] = {}

    def run(self, connection: Connection, job_id: str, store: str) -> bool:
        """Compare; return whether the totals are wrong."""
        counted: dict[str, list[int]] = {"": [0, 0]}
        rows = reconciling.entries(connection, job_id, store)
        objects = (item for item in self.spool.objects(self.folder) if item.path.split("/", 1)[0] != RESERVED)
        row, found = next(rows, None), next(objects, None)
        while row is not None or found is not None:
            if found is None or (row is not None and row.path < found.path):
                assert row is not None
                count_in(counted, row.path, 1, row.size)
                self._missing(row)
                row = next(rows, None)
            elif row is None or found.path < row.path:
                self._extra(found)
                found = _following(objects, found)
            else:
                count_in(counted, row.path, 1, row.size)
                self._both(row, found)
                row, found = next(rows, None), _following(objects, found)
        self._match_odd()
        kept = reconciling.totals(connection, job_id, store)
        return kept != {prefix: (count, size) for prefix, (count, size) in counted.items()}

    def _both(self, row: Entry, found: Listed) -> None:
        if row.size != found.size and not row.going:
            self.spool.note(self.folder, CHANGE, found)

    def _missing(self, row: Entry) -> None:
        if ESCAPE in row.path or LOST in row.path:
            self._odd_rows[comparable(row.path)] = row
        elif not row.going:
            self.spool.note(self.folder, REMOVAL, Listed(row.path, row.size, None, None))

    def _extra(self, found: Listed) -> None:
        if ESCAPE in found.path or LOST in found.path:
            self._odd_objects[comparable(found.path)] = found
        else:
            self.spool.note(self.folder, ADDITION, found)

    def _match_odd(self) -> None:
        """Take two forms of one name, which rclone and a file system write differently, for one."""
        for name, row in self._odd_rows.items():
            other = self._odd_objects.pop(name, None)
            if row.going or (other is not None and other.size == row.size):
                continue
            kind, item = (REMOVAL, row) if other is None else (CHANGE, other)
            moment, content_type = (None, None) if other is None else (other.modified_at, other.content_type)
            self.spool.note(self.folder, kind, Listed(row.path, item.size, moment, content_type))
        for found in self._odd_objects.values():
            self.spool.note(self.folder, ADDITION, found)


def _following(objects: Iterator[Listed], before: Listed) -> Listed | None:
    """Return the next object of another name."""
    for found in objects:
        if found.path != before.path:
            return found
    return None
