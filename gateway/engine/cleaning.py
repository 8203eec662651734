"""Removes the folders of jobs that ended long ago from their target: never what is nowhere else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.compute.cleaning import JobFolders, remove_folders
from gateway.compute.target import Target
from gateway.db import cleanings, events, jobs
from gateway.db.database import Database
from gateway.engine.timing import Timing
from gateway.errors import GatewayError
from gateway.jobs.views import Row
from gateway.storage.stores.base import Place, Store

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Folders of one remote command."""
LOOKED_AT = 500
"""Ended jobs that are looked at in one transaction."""
MOST_TRIES = 20


class Cleaner:
    """Cleans one target, beside its ticks."""

    def __init__(self, target: Target, database: Database, stores: Mapping[str, Store], timing: Timing) -> None:
        self.target = target
        self.database = database
        self.stores = stores
        self.timing = timing
        self._looked_at: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin to clean where it is time to."""
        now = jobs.now()
        pause = timedelta(seconds=self.timing.clean_interval)
        if self._task is None and (self._looked_at is None or self._looked_at + pause <= now):
            self._looked_at = now
            self._task = asyncio.create_task(self._clean(), name=f"clean {self.target.name}")

    async def stop(self) -> None:
        """End what runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _clean(self) -> None:
        try:
            await self.ask_for_old()
            while await self.clean_some():
                pass
        except GatewayError as error:
            log.warning("target %s: folders of ended jobs could not be removed: %s", self.target.name, error)
        except Exception:
            log.exception("target %s: folders of ended jobs could not be removed", self.target.name)
        finally:
            self._task = None

    async def ask_for_old(self) -> None:
        """Write down which folders are to be removed: old enough, and nothing in them that is nowhere else."""
        days = self.target.settings.clean_after_days
        if days == "never":
            return
        after: str | None = ""
        while after is not None:
            after = await self.database.write(lambda c, after=after: self._ask(c, days, after))  # type: ignore[misc]

    def _ask(self, connection: Connection, days: float, after: str) -> str | None:
        now = jobs.now()
        rows = cleanings.old_enough(connection, self.target.name, now - timedelta(days=days), LOOKED_AT, after)
        for row in rows:
            cleanings.ask_if_settled(connection, row["id"], self.target.name, now)
        return rows[-1]["id"] if len(rows) == LOOKED_AT else None

    async def clean_some(self) -> bool:
        """Remove some folders with one command; return whether there may be more."""
        lane = self.target.name

        def read(connection: Connection) -> list[Row]:
            rows = cleanings.waiting(connection, lane, jobs.now(), AT_ONCE, MOST_TRIES)
            may_go = cleanings.may_go(connection, [row["job_id"] for row in rows])
            return [row for row in rows if row["job_id"] in may_go]

        rows = await self.database.read(read)
        if not rows:
            return False
        found = [JobFolders(row["job_id"], row["job_folder"], row["control_folder"]) for row in rows]
        places = await self.database.read(lambda c: self._places(c, found))
        answers = dict.fromkeys(places, "it is a place of one of its stores")
        removed = await remove_folders(self.target.transport, [item for item in found if item.job_id not in places])
        await self.database.write(lambda c: _note(c, {**answers, **removed}))
        return len(rows) == AT_ONCE and any(problem is None for problem in removed.values())

    def _places(self, connection: Connection, found: list[JobFolders]) -> set[str]:
        """Return those jobs whose folder is, holds or lies in a place of a store: removing it would take outputs."""
        known = {item.job_id: jobs.get(connection, item.job_id) for item in found}
        kept = set()
        for item in found:
            row = known[item.job_id]
            chosen = {s["store"]: s["path"] for s in jobs.stores_of(connection, [item.job_id]).get(item.job_id, [])}
            for name, store in self.stores.items():
                owner, case = (row["owner"], row["case"]) if row is not None else ("", None)
                place = store.folder_on(Place(item.job_id, owner, case, chosen.get(name)), self.target.public_name)
                if place is not None and (_holds(item.folder, place) or _holds(place, item.folder)):
                    kept.add(item.job_id)
        return kept


def _holds(outer: str, inner: str) -> bool:
    return f"{inner.rstrip('/')}/".startswith(f"{outer.rstrip('/')}/")


def _note(connection: Connection, answers: Mapping[str, str | None]) -> None:
    """Write what became of folders, and tell of those that are gone."""
    now = jobs.now()
    for job_id, problem in answers.items():
        cleanings.note(connection, job_id, done_at=None if problem else now, problem=problem)
        if problem:
            log.warning("job %s: its folder is not removed: %s", job_id, problem)
        elif (row := jobs.get(connection, job_id)) is not None:
            events.append(connection, job_id, row["owner"], "folder_removed", {}, at=now)
