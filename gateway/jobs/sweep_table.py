"""The table of a sweep: the values of each job, and what came of it; as JSON a page at a time, as CSV in one stream."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import Connection

from gateway.db import sweeps as table
from gateway.db.database import Database
from gateway.jobs import cursors
from gateway.jobs.sweep_points import parameters_of
from gateway.jobs.sweeps import owned_sweep
from gateway.jobs.views import Row
from gateway.model.sweep import SweepRow, SweepTable

CHUNK = 1000
_BEFORE = ("index", "job_id")
_AFTER = ("state", "reason", "exit_code", "progress", "created_at", "queued_at", "started_at", "ended_at", "seconds")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a text begins that spreadsheets take for a formula."""


class SweepTables:
    """Tables of sweeps, by their owner."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def page(self, sweep_id: str, owner: str, *, limit: int, cursor: str | None = None) -> SweepTable:
        """Return a page of the table; raises `NotFound`."""
        after = int(cursors.decode(cursor, "sweep-table", int)[0]) if cursor is not None else -1

        def read(connection: Connection) -> tuple[list[str], list[SweepRow]]:
            points = owned_sweep(connection, sweep_id, owner)["points"]
            rows = table.children(connection, sweep_id, after=after, limit=limit + 1)
            return parameters_of(points), [row_of(row, points) for row in rows]

        parameters, rows = await self.database.read(read)
        following = cursors.encode("sweep-table", rows[limit - 1].index) if len(rows) > limit else None
        return SweepTable(parameters=parameters, items=rows[:limit], next_cursor=following)

    async def csv(self, sweep_id: str, owner: str) -> AsyncIterator[bytes]:
        """Return the whole table as CSV (RFC 4180), to be sent as it is read; raises `NotFound`."""
        points = (await self.database.read(lambda c: owned_sweep(c, sweep_id, owner)))["points"]
        return self._lines(sweep_id, points)

    async def _lines(self, sweep_id: str, points: Sequence[dict[str, Any]]) -> AsyncIterator[bytes]:
        parameters = parameters_of(points)
        yield csv_lines([heads(parameters)])
        after = -1
        while True:
            rows = await self.database.read(
                lambda c, after=after: table.children(c, sweep_id, after=after, limit=CHUNK)  # type: ignore[misc]
            )
            if rows:
                yield csv_lines([cells(row_of(row, points), parameters) for row in rows])
            if len(rows) < CHUNK:
                return
            after = rows[-1]["sweep_index"]


def row_of(row: Row, points: Sequence[dict[str, Any]]) -> SweepRow:
    """Return the line of a job."""
    started, ended, progress = row["started_at"], row["ended_at"], row["progress"]
    index = row["sweep_index"]
    return SweepRow(
        index=index,
        job_id=row["id"],
        values=points[index] if index < len(points) else {},
        progress=progress.get("value") if isinstance(progress, dict) else None,
        seconds=(ended - started).total_seconds() if started and ended else None,
        **{name: row[name] for name in ("state", "reason", "exit_code", "created_at", "queued_at")},
        started_at=started,
        ended_at=ended,
    )


def heads(parameters: Sequence[str]) -> list[str]:
    """Return the names of the columns; a parameter with the name of another column gets ``values.`` before it."""
    own = {*_BEFORE, *_AFTER}
    return [*_BEFORE, *(f"values.{name}" if name in own else name for name in parameters), *_AFTER]


def cells(row: SweepRow, parameters: Sequence[str]) -> list[Any]:
    """Return the cells of a line."""
    plain = row.model_dump(mode="json")
    return [
        *(plain[name] for name in _BEFORE),
        *(row.values.get(name) for name in parameters),
        *(plain[name] for name in _AFTER),
    ]


def csv_lines(lines: Sequence[Sequence[Any]]) -> bytes:
    """Write lines of a CSV file in UTF-8."""
    text = io.StringIO()
    csv.writer(text).writerows([[cell_of(value) for value in line] for line in lines])
    return text.getvalue().encode("utf-8", "replace")


def cell_of(value: Any) -> str:
    """Return a cell. A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    return json.dumps(value, ensure_ascii=False)
