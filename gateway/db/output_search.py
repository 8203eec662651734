"""Finding outputs by what they are called and what is known of them, in one job or across jobs, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from gateway.db import job_lists
from gateway.db import jobs as job_table
from gateway.db.columns import Moment
from gateway.db.job_lists import NEWEST_FIRST, JobFilter, PlaceInList, place_of
from gateway.db.outputs import after_prefix
from gateway.db.tables import jobs, outputs

FIRST_STEP, LONGEST_STEP = 500, 4000
"""Files that a search looks at before it counts what it found, and looks at the clock."""
JOBS_AT_ONCE = 100


@dataclass(frozen=True)
class OutputFilter:
    """What outputs are narrowed to.

    Attributes
    ----------
    prefix
        What paths begin with.
    beginning, ending
        What paths begin and end with.
    fits
        Says whether a path is wanted; None: every one.
    content_type
        A whole type, or ``image/*`` for all of a kind.
    modified_after
        At this moment or after it; where a file's own time is not known, its arrival counts.
    """

    beginning: str = ""
    ending: str = ""
    fits: Callable[[str], bool] | None = None
    content_type: str | None = None
    min_size: int | None = None
    modified_after: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return SQL conditions that let through everything that fits, and perhaps more."""
        found: list[ColumnElement[bool]] = []
        if self.content_type is not None:
            kind, star, _ = self.content_type.partition("/*")
            column = outputs.c.content_type
            found.append(column.startswith(f"{kind}/", autoescape=True) if star else column == self.content_type)
        if self.min_size is not None:
            found.append(outputs.c.size >= self.min_size)
        if self.modified_after is not None:
            known = func.coalesce(outputs.c.modified_at, outputs.c.stored_at, type_=Moment())
            found.append(known >= self.modified_after)
        if self.ending:
            found.append(outputs.c.path.endswith(self.ending, autoescape=True))
        return found


@dataclass(frozen=True)
class PlaceInSearch:
    """Where a page ended: behind a path of a job; without a path, behind the job."""

    job: PlaceInList
    path: str | None = None


@dataclass(frozen=True)
class Found:
    """A row of the catalogue, and the first store of its job."""

    row: RowMapping
    first_store: str


def in_job(
    connection: Connection,
    job_id: str,
    store: str,
    wanted: OutputFilter,
    *,
    after: str = "",
    limit: int,
    deadline: float,
) -> tuple[list[RowMapping], str | None]:
    """Return files of one job in byte order, and the path behind which the search goes on; None at its end.

    Parameters
    ----------
    deadline
        By `time.monotonic`: the page is given then, with what was found.
    """
    within: list[ColumnElement[bool]] = [outputs.c.job_id == job_id, outputs.c.store == store]
    if wanted.beginning:
        within += [outputs.c.path >= wanted.beginning, outputs.c.path < after_prefix(wanted.beginning)]
    rows: list[RowMapping] = []
    step = FIRST_STEP
    while True:
        behind = [*within, outputs.c.path > after] if after else within
        ordered = select(outputs.c.path).where(*behind).order_by(outputs.c.path)
        edge = connection.execute(ordered.offset(step - 1).limit(1)).scalar_one_or_none()
        looked_at = [*behind, outputs.c.path <= edge] if edge is not None else behind
        rows += _fitting(connection, wanted, looked_at, limit + 1 - len(rows))
        if len(rows) > limit:
            return rows[:limit], rows[limit - 1]["path"]
        if edge is None:
            return rows, None
        if time.monotonic() >= deadline:
            return rows, edge
        after, step = edge, min(2 * step, LONGEST_STEP)


def _fitting(
    connection: Connection, wanted: OutputFilter, looked_at: Sequence[ColumnElement[bool]], limit: int
) -> list[RowMapping]:
    """Return the rows that fit, at most so many. Where names decide, only names are read of those that do not."""
    conditions = [*looked_at, *wanted.conditions()]
    if wanted.fits is not None:
        names = connection.scalars(select(outputs.c.path).where(*conditions).order_by(outputs.c.path))
        paths = list(islice(filter(wanted.fits, names), limit))
        if not paths:
            return []
        conditions = [*looked_at, outputs.c.path.in_(paths)]
    query = select(outputs).where(*conditions).order_by(outputs.c.path).limit(limit)
    return list(connection.execute(query).mappings())


def across_jobs(
    connection: Connection,
    job_filter: JobFilter,
    wanted: OutputFilter,
    *,
    store: str | None = None,
    after: PlaceInSearch | None = None,
    limit: int,
    seconds: float,
) -> tuple[list[Found], PlaceInSearch | None]:
    """Return files of the jobs that a filter lets through, the newest job first; each job's in byte order.

    Parameters
    ----------
    store
        None: what stands in each job's first store.

    Returns
    -------
    tuple
        The files, perhaps none, and where the next page begins; None at the end.
    """
    deadline = time.monotonic() + seconds
    found: list[Found] = []
    begin = after.job if after is not None else None
    if after is not None and after.path is not None:
        again = _job(connection, job_filter, after.job.id)
        if again is not None:
            place = _look(connection, [again], wanted, found, store, after.path, limit, deadline)
            if place is not None:
                return found, place
    while True:
        left = max(0.0, deadline - time.monotonic())
        rows, following = job_lists.search(connection, job_filter, limit=JOBS_AT_ONCE, seconds=left, after=begin)
        place = _look(connection, rows, wanted, found, store, "", limit, deadline)
        if place is not None:
            return found, place
        if following is None:
            return found, None
        if time.monotonic() >= deadline:
            return found, PlaceInSearch(following)
        begin = following


def _job(connection: Connection, job_filter: JobFilter, job_id: str) -> RowMapping | None:
    """Return the job that a page ended in, if the filter lets it through: a cursor opens nobody else's."""
    query = select(*job_lists.LIST_COLUMNS).where(jobs.c.id == job_id, *job_filter.conditions())
    return connection.execute(query).mappings().one_or_none()


def _look(
    connection: Connection,
    rows: Sequence[RowMapping],
    wanted: OutputFilter,
    found: list[Found],
    store: str | None,
    behind: str,
    limit: int,
    deadline: float,
) -> PlaceInSearch | None:
    """Add what is found in these jobs, in the first of them behind a path; return where it stopped, if it did."""
    stores = job_table.stores_of(connection, [row["id"] for row in rows])
    for at, row in enumerate(rows):
        mine = stores.get(row["id"], [])
        chosen = next((item for item in mine if store in (None, item["store"])), None)
        if chosen is not None and chosen["count"]:
            left, after = limit - len(found), "" if at else behind
            files, edge = in_job(
                connection, row["id"], chosen["store"], wanted, after=after, limit=left, deadline=deadline
            )
            found += [Found(file, mine[0]["store"]) for file in files]
            if edge is not None:
                return PlaceInSearch(place_of(row, NEWEST_FIRST), edge)
        last = at + 1 == len(rows)
        if not last and (len(found) >= limit or time.monotonic() >= deadline):
            return PlaceInSearch(place_of(row, NEWEST_FIRST))
    if rows and len(found) >= limit:
        return PlaceInSearch(place_of(rows[-1], NEWEST_FIRST))
    return None
