"""Brings archived outputs back that somebody asked for: asks the store for them, and waits until it has them again.

Outputs are marked before the store is asked, and stay so until they can be read. The work's position is how far the
store was asked; once all were, it is looked at again and again, for hours. It can be killed at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from gateway.db import events
from gateway.db import jobs as job_table
from gateway.db import outputs as catalogue
from gateway.db import retention as table
from gateway.db.database import Database
from gateway.errors import StoreError
from gateway.jobs.retention_rules import wanted
from gateway.jobs.views import Row
from gateway.model.retention import RESTORE
from gateway.storage.patterns import parse_pattern
from gateway.storage.stores.base import Place, Store

AT_ONCE = 500
"""Outputs that a store is asked for, or about, together."""
ROWS = 5000
"""Rows of the catalogue that are looked at in one transaction."""
HELD_FOR = timedelta(minutes=10)
LOOK = 300.0
"""Seconds until the store is asked again whether they are back."""
SHARE = 10
"""It is asked for at most one part in so many of the time."""
ASKED = "\U0010ffff"
"""A position behind every path: the store was asked for all."""


@dataclass(frozen=True)
class Window:
    """Outputs that come next. `position`: where to go on; None where these are the last."""

    job: Row
    place: Place
    rows: Sequence[Row]
    position: str | None


class Restoring:
    """Carries out works of the action ``restore``."""

    def __init__(self, database: Database, stores: Mapping[str, Store]) -> None:
        self.database = database
        self.stores = stores

    async def step(self, work: Row) -> bool:
        """Do what comes next; return False where there is nothing to do now.

        Raises
        ------
        StoreError
            The store is not there any more, refused or failed.
        """
        store = self.stores.get(work["store"])
        if store is None:
            raise StoreError(f"store {work['store']} is not configured any more")
        now = await self.database.read(lambda c: table.get_work(c, work["id"]))
        if now is None or now["done_at"] is not None or now["holder"] != self.database.name:
            return False
        if now["position"] == ASKED:
            return await self._look(work, store)
        found = await self.database.write(lambda c: self._mark(c, work, now["position"]))
        if found is None:
            return False
        paths = [row["path"] for row in found.rows]
        if paths:
            await store.restore(found.place, paths, urgent=work["tier"] == "high")
        position = found.position or ASKED
        return await self.database.write(lambda c: self._mine(c, work, position=position, tries=0, problem=None))

    def _mark(self, connection: Connection, work: Row, position: str) -> Window | None:
        """Mark the next outputs that the store is asked for."""
        job_table.state_of(connection, work["job_id"])
        found = self._window(connection, work, position)
        if found is None or not self._mine(connection, work, held_until=job_table.now() + HELD_FOR):
            return None
        table.set_going(connection, work["job_id"], work["store"], [row["path"] for row in found.rows], RESTORE)
        return found

    def _window(self, connection: Connection, work: Row, position: str, *, only_marked: bool = False) -> Window | None:
        """Return the next outputs that the work is about; None where the job is gone."""
        job = job_table.get(connection, work["job_id"])
        if job is None:
            return None
        mine = [s for s in job_table.stores_of(connection, [job["id"]])[job["id"]] if s["store"] == work["store"]]
        place = Place(job["id"], job["owner"], job["case"], mine[0]["path"] if mine else None)
        patterns = [parse_pattern(pattern) for pattern in work["keep"]]
        rows = catalogue.files(connection, job["id"], work["store"], after=position, limit=ROWS)
        ours = [
            row for row in rows if wanted(row, patterns, RESTORE, None) and (row["going"] == RESTORE or not only_marked)
        ]
        if len(ours) > AT_ONCE:
            return Window(job, place, ours[:AT_ONCE], ours[AT_ONCE - 1]["path"])
        return Window(job, place, ours, rows[-1]["path"] if len(rows) == ROWS else None)

    def _mine(self, connection: Connection, work: Row, **values: object) -> bool:
        """Write columns of the work, unless another process does it by now."""
        now = table.get_work(connection, work["id"])
        if now is None or now["holder"] != self.database.name:
            return False
        table.set_work(connection, work["id"], **values)
        return True

    async def _look(self, work: Row, store: Store) -> bool:
        """Look which outputs are back; where some are not, come again later."""
        began, waiting, position = time.monotonic(), 0, ""
        while True:
            found = await self.database.read(
                lambda c, position=position: self._window(c, work, position, only_marked=True)  # type: ignore[misc]
            )
            if found is None:
                return False
            paths = [row["path"] for row in found.rows]
            back = sorted(await store.restored(found.place, paths)) if paths else []
            waiting += len(paths) - len(back)
            if not await self.database.write(lambda c, back=back: self._note(c, work, back)):  # type: ignore[misc]
                return False
            if found.position is None:
                break
            position = found.position
        if waiting:
            pause = timedelta(seconds=max(LOOK, SHARE * (time.monotonic() - began)))
            later = job_table.now() + pause
            await self.database.write(
                lambda c: self._mine(c, work, holder=None, held_until=later, tries=0, problem=None)
            )
            return False
        job = found.job
        await self.database.write(lambda c: self._end(c, work, job))
        return False

    def _note(self, connection: Connection, work: Row, back: Sequence[str]) -> bool:
        """Write which outputs are back, and keep the work."""
        job_table.state_of(connection, work["job_id"])
        rows = table.outputs_named(connection, work["job_id"], work["store"], back)
        now = table.get_work(connection, work["id"])
        if now is None:
            return False
        count, size = now["count"] + len(rows), now["bytes"] + sum(row["size"] for row in rows)
        if not self._mine(connection, work, count=count, bytes=size, held_until=job_table.now() + HELD_FOR):
            return False
        if back:
            table.set_restored(connection, work["job_id"], work["store"], back)
            job_table.set_columns(connection, work["job_id"])
        return True

    def _end(self, connection: Connection, work: Row, job: Row) -> None:
        now = table.get_work(connection, work["id"])
        if now is None or not self._mine(connection, work, done_at=job_table.now(), holder=None, held_until=None):
            return
        data = {name: now[name] for name in ("store", "rule", "action", "tier", "by", "count", "bytes")}
        job_table.set_columns(connection, work["job_id"])
        events.append(connection, work["job_id"], job["owner"], "retention", data, at=job_table.now())
