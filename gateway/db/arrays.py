"""Attempts that are submitted together, as tasks of one array."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select, update

from gateway.db.tables import attempts

Place = tuple[str, int, str | None, int | None]
"""Job, number of the attempt, name of the array and index in it (None, None: it goes alone)."""


def size(connection: Connection, name: str) -> int:
    """Return how many attempts an array has."""
    query = select(func.count()).where(attempts.c.array == name)
    return int(connection.execute(query).scalar_one())


def mark_sent(connection: Connection, places: Sequence[Place], at: datetime) -> None:
    """Note of attempts that they are about to be submitted, and how."""
    query = (
        update(attempts)
        .where(attempts.c.job_id == bindparam("of_job"), attempts.c.number == bindparam("of_number"))
        .values(submit_started_at=at, array=bindparam("in_array"), array_index=bindparam("at_index"))
    )
    names = ("of_job", "of_number", "in_array", "at_index")
    if places:
        connection.execute(query, [dict(zip(names, place, strict=True)) for place in places])
