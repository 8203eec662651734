"""Cancelling and deleting many jobs with one request: each by itself, so that one that cannot be stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from gateway.db import job_lists
from gateway.db.database import Database
from gateway.db.job_lists import JobFilter, Sort, place_of
from gateway.errors import GatewayError
from gateway.jobs import intents
from gateway.jobs.bell import Bell
from gateway.jobs.lists import read_cursor, write_cursor
from gateway.jobs.rows import owned
from gateway.jobs.views import Row
from gateway.model.job import PROBLEM_PREFIX, BulkItem, BulkPage, Problem
from gateway.model.states import State

LIMIT = 1000
"""Jobs of one request at most."""
_CHUNK = 50
"""Jobs of one transaction: other writers wait for its end."""
_OLDEST_FIRST = Sort("created_at", descending=False)

Act = Callable[[Connection, Row], None]


class Bulk:
    """Carries out one intent for many jobs.

    Parameters
    ----------
    bell
        Rung for each loop of the engine that has something to do.
    """

    def __init__(self, database: Database, bell: Bell) -> None:
        self.database = database
        self.bell = bell

    async def cancel(self, ids: Sequence[str], owner: str | None, *, by: str) -> BulkPage:
        """Ask for the end of jobs of `owner` (None: of anybody); `by` is who asks."""
        return BulkPage(items=await self._act(ids, owner, lambda c, row: intents.cancel(c, row, by)))

    async def delete(self, ids: Sequence[str], owner: str | None) -> BulkPage:
        """Forget jobs of `owner` (None: of anybody) that have ended, and drafts."""
        return BulkPage(items=await self._act(ids, owner, intents.delete))

    async def cancel_all(
        self, wanted: JobFilter, *, by: str, limit: int = LIMIT, cursor: str | None = None
    ) -> BulkPage:
        """Ask for the end of the jobs of a list that have not ended, oldest first."""
        return await self._act_on_list(
            wanted, intents.CANCELLABLE, lambda c, row: intents.cancel(c, row, by), limit, cursor
        )

    async def delete_all(self, wanted: JobFilter, *, limit: int = LIMIT, cursor: str | None = None) -> BulkPage:
        """Forget the jobs of a list that have ended, and drafts, oldest first."""
        return await self._act_on_list(wanted, intents.DELETABLE, intents.delete, limit, cursor)

    async def _act_on_list(
        self, wanted: JobFilter, possible: Sequence[State], act: Act, limit: int, cursor: str | None
    ) -> BulkPage:
        """Act on a page of a list.

        Raises
        ------
        InvalidRequest
            The cursor is not one of this list.
        """
        states = tuple(state for state in possible if not wanted.states or state in wanted.states)
        after = read_cursor(cursor, _OLDEST_FIRST, "#/cursor") if cursor is not None else None
        if not states:
            return BulkPage(items=[])
        narrowed = replace(wanted, states=states)
        rows = await self.database.read(
            lambda c: job_lists.page(c, narrowed, limit=limit + 1, sort=_OLDEST_FIRST, after=after)
        )
        chosen = rows[:limit]
        items = await self._act([row["id"] for row in chosen], wanted.owner, act)
        following = None
        if len(rows) > limit:
            following = write_cursor(_OLDEST_FIRST, place_of(chosen[-1], _OLDEST_FIRST))
        return BulkPage(items=items, next_cursor=following)

    async def _act(self, ids: Sequence[str], owner: str | None, act: Act) -> list[BulkItem]:
        """Act on jobs of `owner` (None: of anybody), each by itself, a chunk in one transaction."""
        items: list[BulkItem] = []
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]

            def carry_out(connection: Connection, chunk: Sequence[str] = chunk) -> tuple[list[BulkItem], set[str]]:
                done: list[BulkItem] = []
                lanes: set[str] = set()
                for job_id in chunk:
                    try:
                        with connection.begin_nested():
                            row = owned(connection, job_id, owner)
                            act(connection, row)
                        lanes.add(row["lane"])
                        done.append(BulkItem(id=job_id, done=True))
                    except GatewayError as error:
                        done.append(BulkItem(id=job_id, done=False, problem=problem_of(error)))
                return done, lanes

            done, lanes = await self.database.write(carry_out)
            items += done
            for lane in lanes:
                self.bell.ring(lane)
        return items


def problem_of(error: GatewayError) -> Problem:
    """Return an error as a problem within an answer."""
    return Problem(
        type=PROBLEM_PREFIX + error.problem,
        title=error.title,
        status=error.status,
        detail=error.message,
        hint=error.hint,
    )
