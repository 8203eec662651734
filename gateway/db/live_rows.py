"""The live jobs of a loop of the engine, read again and again: each row only after it was changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, RowMapping

from gateway.db import jobs

MANY = 4
"""Where more than one row of so many has changed, all are read by one query."""


class LiveRows:
    """What `jobs.live` returns. A row that was not changed, by whichever process, is the very object of last time.

    Parameters
    ----------
    lane
        Of the loop.
    """

    def __init__(self, lane: str) -> None:
        self.lane = lane
        self._known: Mapping[str, RowMapping] = {}

    def read(self, connection: Connection, lost_since: datetime | None = None) -> list[RowMapping]:
        """Return them as they are in this transaction; see `jobs.live`."""
        known = self._known
        asked = jobs.versions_of_live(connection, self.lane, lost_since)
        changed = [job_id for job_id, job, attempt in asked if not _is_as(known.get(job_id), job, attempt)]
        if len(changed) * MANY > len(asked):
            rows = jobs.live(connection, self.lane, lost_since)
        else:
            fresh = {row["id"]: row for row in jobs.driven(connection, changed)}
            rows = [fresh.get(job_id) or known[job_id] for job_id, *_ in asked]
        self._known = {row["id"]: row for row in rows}
        return rows


def _is_as(row: RowMapping | None, version: int, of_attempt: int | None) -> bool:
    return row is not None and row["version"] == version and row["a_version"] == of_attempt
