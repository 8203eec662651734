"""Pages of jobs and the cursors between them."""

from __future__ import annotations

import contextlib
from datetime import datetime

from sqlalchemy import Connection, Integer

from gateway.db import dependencies, job_lists
from gateway.db import jobs as table
from gateway.db.columns import Moment
from gateway.db.database import Database
from gateway.db.job_lists import NEWEST_FIRST, JobFilter, PlaceInList, Sort, Value
from gateway.db.tables import jobs
from gateway.errors import FieldError, InvalidRequest
from gateway.jobs import cursors
from gateway.jobs.views import job_of
from gateway.model.job import Job, JobPage

PATIENCE = 0.012
"""Seconds that a search takes for one page, where no index knows the answer."""


async def list_jobs(
    database: Database,
    wanted: JobFilter,
    *,
    sort: Sort = NEWEST_FIRST,
    limit: int = 50,
    cursor: str | None = None,
) -> JobPage:
    """Return a page of jobs without their specifications.

    A page of a search that takes long holds what was found until then, perhaps nothing: as long as there is a cursor,
    the list goes on.

    Jobs that come while somebody pages hide none and repeat none of those that were there.

    Raises
    ------
    InvalidRequest
        The cursor is not one of a list in this order.
    """
    after = read_cursor(cursor, sort) if cursor is not None else None

    def read(connection: Connection) -> tuple[list[Job], str | None]:
        rows, place = job_lists.search(connection, wanted, limit=limit, seconds=PATIENCE, sort=sort, after=after)
        following = write_cursor(sort, place) if place is not None else None
        ids = [row["id"] for row in rows]
        stores = table.stores_of(connection, ids)
        waits = dependencies.read(connection, ids)
        return [job_of(row, stores.get(row["id"], []), waits.get(row["id"])) for row in rows], following

    items, following = await database.read(read)
    return JobPage(items=items, next_cursor=following)


def write_cursor(sort: Sort, place: PlaceInList) -> str:
    """Return a place as an opaque cursor, good for lists in the same order only."""
    created = cursors.encode_moment(place.created_at)
    if place.value is None:
        return cursors.encode(f"jobs {sort} empty", created, place.id)
    value = cursors.encode_moment(place.value) if isinstance(place.value, datetime) else place.value
    return cursors.encode(f"jobs {sort}", value, created, place.id)


def read_cursor(cursor: str, sort: Sort, pointer: str | None = None) -> PlaceInList:
    """Return the place of a cursor that `write_cursor` made.

    Parameters
    ----------
    pointer
        Where the cursor stands in the body; None for the query.

    Raises
    ------
    InvalidRequest
        It was made for another list or order, or by nobody.
    """
    try:
        return _read(cursor, sort)
    except InvalidRequest as error:
        if pointer is None:
            raise
        raise InvalidRequest([FieldError(pointer, item.detail) for item in error.errors]) from None


def _read(cursor: str, sort: Sort) -> PlaceInList:
    column = jobs.c[sort.column]
    is_moment, is_number = isinstance(column.type, Moment), isinstance(column.type, Integer)
    if column.nullable:
        with contextlib.suppress(InvalidRequest):
            created, job_id = cursors.decode(cursor, f"jobs {sort} empty", int, str)
            return PlaceInList(None, cursors.decode_moment(created), str(job_id))
    kind = int if is_moment or is_number else str
    found, created, job_id = cursors.decode(cursor, f"jobs {sort}", kind, int, str)
    value: Value = cursors.decode_moment(found) if is_moment else found
    return PlaceInList(value, cursors.decode_moment(created), str(job_id))
