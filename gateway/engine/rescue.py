"""Brings later what ended jobs left and a store does not have yet: again and again, for days, through restarts.

When it is time stands in the database (``job_stores.rescue_at``), and is moved on before each try, so that a try which
ends the gateway is not the first thing that the next one does.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, RowMapping

from gateway.compute.target import Target
from gateway.db import behind, events, jobs
from gateway.db.database import Database, DatabaseUnavailable
from gateway.engine.finalise import Finaliser
from gateway.engine.timing import Timing
from gateway.errors import GatewayError, LeaseLost
from gateway.model.states import OutputsState

log = logging.getLogger(__name__)

Row = RowMapping
GIVEN_UP = "given up after {:g} days; ask for another try with sync"


def next_try(ended: datetime, tries: int, now: datetime, delays: tuple[float, ...], days: float) -> datetime | None:
    """Return when to try again after so many tries; None once the job ended too long ago. Pure."""
    at = now + timedelta(seconds=delays[min(tries, len(delays)) - 1])
    return at if at <= ended + timedelta(days=days) else None


class Rescues:
    """Tries of one target, a few at a time and never all of its turns: jobs that end now come first."""

    def __init__(self, target: Target, database: Database, finaliser: Finaliser, timing: Timing, days: float) -> None:
        self.target = target
        self.database = database
        self.finaliser = finaliser
        self.timing = timing
        self.days = days
        self.at_once = max(1, target.relay.at_once // 2)
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def look(self) -> None:
        """Begin the tries that are due."""
        free = self.at_once - len(self._tasks)
        if free <= 0:
            return
        lane, now, most = self.target.name, datetime.now(UTC), free + len(self._tasks)
        for due in await self.database.read(lambda c: behind.rescues(c, lane, now, most)):
            key = (due["job_id"], due["store"])
            if key not in self._tasks and len(self._tasks) < self.at_once:
                task = asyncio.create_task(self._run(*key), name=f"rescue {key[0]}")
                self._tasks[key] = task
                task.add_done_callback(partial(self._over, key))

    def _over(self, key: tuple[str, str], _task: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)

    async def _run(self, job_id: str, store: str) -> None:
        try:
            await self._try(job_id, store)
        except (DatabaseUnavailable, LeaseLost) as error:
            log.warning("job %s, store %s: %s", job_id, store, error)
        except Exception:
            log.exception("job %s, store %s: its outputs could not be tried again", job_id, store)

    async def _try(self, job_id: str, store: str) -> None:
        found = await self.database.write(lambda c: self._begin(c, job_id, store))
        if found is None:
            return
        row, place = found
        try:
            problem = await self.finaliser.bring(row, store, self.target, pushed=place["transfer"] == "push")
        except LeaseLost:
            raise
        except (GatewayError, OSError) as error:
            problem = str(error)
        if problem is not None:
            log.warning("job %s, store %s: tried again: %s", job_id, store, problem)
            await self.database.write(lambda c: self._note(c, row, store, problem))

    def _begin(self, connection: Connection, job_id: str, store: str) -> tuple[Row, Row] | None:
        """Move the next try on, and return job and place; None where nothing is to be done any more."""
        found = behind.to_rescue(connection, job_id, store)
        if found is None:
            return None
        row, place = found
        if (gone := behind.gone(connection, job_id, store)) is not None:
            behind.set_rescue(connection, job_id, store, rescue_at=None, problem=gone)
            jobs.set_columns(connection, job_id)
            return None
        tries, now = place["tries"] + 1, datetime.now(UTC)
        at = next_try(row["ended_at"] or now, tries, now, self.timing.rescue_later, self.days)
        # The last try too has to be there for whoever comes after a death in the middle of it.
        behind.set_rescue(connection, job_id, store, rescue_at=at or now + timedelta(days=1), tries=tries)
        return row, place

    def _note(self, connection: Connection, row: Row, store: str, problem: str) -> None:
        """Say what went wrong, and when the next try is: in the job each time, as an event when there is none."""
        found = behind.to_rescue(connection, row["id"], store)
        if found is None:
            return
        now = datetime.now(UTC)
        if found[1]["rescue_at"] <= (row["ended_at"] or now) + timedelta(days=self.days):
            behind.set_rescue(connection, row["id"], store, problem=problem)
        else:
            problem = f"{problem.rstrip('.')}; {GIVEN_UP.format(self.days)}"
            behind.set_rescue(connection, row["id"], store, problem=problem, rescue_at=None)
            data = {"store": store, "state": str(OutputsState.PARTIAL), "problem": problem, "count": 0, "bytes": 0}
            events.append(connection, row["id"], row["owner"], "outputs", data, at=now)
        jobs.set_columns(connection, row["id"])

    async def close(self) -> None:
        """End what runs; the next process goes on when it is time."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
