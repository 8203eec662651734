"""Parts of jobs' specifications, read without the rest, which may be large."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from gateway.db.tables import jobs


def part(connection: Connection, job_id: str, key: str) -> Any:
    """Return one field of a job's specification as it is stored; None where the job or the field is not there."""
    return connection.execute(select(jobs.c.spec[key]).where(jobs.c.id == job_id)).scalar_one_or_none()
