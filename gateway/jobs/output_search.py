"""Searching outputs: by pattern and by what is known of them, in one job or across jobs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from gateway.db import output_search as table
from gateway.db.database import Database
from gateway.db.job_lists import JobFilter, PlaceInList
from gateway.db.output_search import OutputFilter, PlaceInSearch
from gateway.jobs import cursors
from gateway.jobs.outputs import chosen_store, stores_of_job
from gateway.jobs.pointers import refuse_query
from gateway.jobs.rows import owned
from gateway.jobs.views import output_of
from gateway.model.job import OutputFile, OutputPage
from gateway.storage.patterns import FilterError, parse_pattern

PATIENCE = 0.05
"""Seconds that a search takes for one page."""


@dataclass(frozen=True)
class Search:
    """What outputs are wanted.

    Attributes
    ----------
    pattern
        As in the outputs of a specification: ``VTK/**/*.vtk``; nothing floats.
    """

    prefix: str = ""
    pattern: str | None = None
    content_type: str | None = None
    min_size: int | None = None
    modified_after: datetime | None = None
    store: str | None = None
    limit: int = 1000
    cursor: str | None = None

    @property
    def narrows(self) -> bool:
        """Whether anything but a prefix is asked for."""
        return any(item is not None for item in (self.pattern, self.content_type, self.min_size, self.modified_after))

    def filter(self) -> OutputFilter | None:
        """Return what the catalogue is asked; None where nothing can fit.

        Raises
        ------
        InvalidRequest
            The pattern is not one.
        """
        known = (self.content_type, self.min_size, self.modified_after)
        if self.pattern is None:
            return OutputFilter(self.prefix, "", None, *known)
        try:
            parsed = parse_pattern(self.pattern)
        except FilterError as error:
            raise refuse_query("pattern", str(error)) from None
        shorter, longer = sorted((parsed.beginning, self.prefix), key=len)
        if not longer.startswith(shorter):
            return None
        return OutputFilter(longer, parsed.ending, parsed.matches, *known)


class OutputSearch:
    """Searches the catalogue. Pages are given after some milliseconds, and may be short, or empty: cursors go on."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def in_job(self, job_id: str, owner: str, search: Search) -> OutputPage:
        """Search one job; raises `NotFound` where it is not the owner's."""
        kind = "outputs found"
        after = str(cursors.decode(search.cursor, kind, str)[0]) if search.cursor is not None else ""
        wanted = search.filter()

        def read(connection: Connection) -> tuple[list[OutputFile], str | None]:
            owned(connection, job_id, owner)
            mine = stores_of_job(connection, job_id)
            store = chosen_store(mine, search.store)["store"]
            if wanted is None:
                return [], None
            deadline = time.monotonic() + PATIENCE
            rows, edge = table.in_job(
                connection, job_id, store, wanted, after=after, limit=search.limit, deadline=deadline
            )
            return [output_of(row, mine[0]["store"]) for row in rows], edge

        files, edge = await self.database.read(read)
        following = cursors.encode(kind, edge) if edge is not None else None
        return OutputPage(prefix=search.prefix, files=files, next_cursor=following)

    async def across_jobs(self, jobs: JobFilter, search: Search) -> OutputPage:
        """Search all jobs that a filter lets through, the newest first."""
        after = _read_cursor(search.cursor) if search.cursor is not None else None
        wanted = search.filter()
        if wanted is None:
            return OutputPage(prefix=search.prefix)

        def read(connection: Connection) -> tuple[list[OutputFile], PlaceInSearch | None]:
            found, place = table.across_jobs(
                connection, jobs, wanted, store=search.store, after=after, limit=search.limit, seconds=PATIENCE
            )
            return [output_of(item.row, item.first_store) for item in found], place

        files, place = await self.database.read(read)
        following = _write_cursor(place) if place is not None else None
        return OutputPage(prefix=search.prefix, files=files, next_cursor=following)


def _write_cursor(place: PlaceInSearch) -> str:
    created = cursors.encode_moment(place.job.created_at)
    if place.path is None:
        return cursors.encode("outputs behind", created, place.job.id)
    return cursors.encode("outputs within", created, place.job.id, place.path)


def _read_cursor(cursor: str) -> PlaceInSearch:
    within = cursors.kind_of(cursor) == "outputs within"
    types = (int, str, str) if within else (int, str)
    created, job_id, *path = cursors.decode(cursor, "outputs within" if within else "outputs behind", *types)
    at = cursors.decode_moment(created)
    return PlaceInSearch(PlaceInList(at, at, str(job_id)), str(path[0]) if path else None)
