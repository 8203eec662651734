"""Carries out what retention was told to do: a few outputs at a time, so that it can be killed at any moment.

Outputs are marked as going, then deleted or archived in their store, then taken out of the catalogue; the position is
written with that. Whoever goes on after a kill begins with those that are marked: to delete them again does no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from gateway.db import events, people
from gateway.db import jobs as job_table
from gateway.db import outputs as catalogue
from gateway.db import retention as table
from gateway.db.database import Database
from gateway.engine.restoring import Restoring
from gateway.errors import GatewayError, StoreError
from gateway.jobs.bell import Bell
from gateway.jobs.retention import BELL, Retention
from gateway.jobs.retention_rules import kept_back, wanted
from gateway.jobs.views import Row
from gateway.model.retention import RESTORE, RunRequest
from gateway.model.states import ENDED
from gateway.settings import Settings
from gateway.storage.patterns import parse_pattern
from gateway.storage.stores.base import Place, Store

log = logging.getLogger(__name__)

AT_ONCE = 500
"""Outputs that are marked, and then gone, together."""
WINDOWS = 20
"""How many times so many are looked at in one transaction, where a rule is about none of them."""
HELD_FOR = timedelta(minutes=10)
"""A process that does not come back for so long is dead, and another one goes on."""
AGAIN = (60.0, 600.0, 3600.0)
"""Seconds until something that failed is tried again."""
DAY = 86400.0
INTERVAL = 60.0
"""Seconds between looks for what other processes have begun."""


@dataclass(frozen=True)
class Step:
    """What is to be done next: outputs that are marked, and the position after them.

    Attributes
    ----------
    kept
        Why nothing more may be done; then `paths` are those that were marked before.
    """

    job: Row
    place: Place
    paths: Sequence[str]
    position: str
    last: bool
    kept: str | None = None


class RetentionLoop:
    """Does all works of the database, one after the other; begins what is due once a day where that is wanted."""

    def __init__(self, database: Database, settings: Settings, stores: Mapping[str, Store], bell: Bell) -> None:
        self.database = database
        self.stores = stores
        self.bell = bell
        self.automatic = settings.retention.automatic
        self.retention = Retention(database, settings, stores)
        self._restoring = Restoring(database, stores)

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                await self._begin_daily()
                while await self.do_one():
                    pass
            except Exception as error:
                known = isinstance(error, GatewayError)
                log.warning("retention: %s", error, exc_info=not known)
            await self.bell.wait(BELL, INTERVAL)

    async def _begin_daily(self) -> None:
        if self.automatic and await self.database.write(lambda c: table.daily(c, job_table.now(), DAY)):
            begun = await self.retention.begin(RunRequest(), "automatic")
            log.info("retention: %d works begun, %d kept back", begun.works, begun.blocked)

    async def do_one(self) -> bool:
        """Do the oldest work to its end; return False where there is none."""
        now = job_table.now()
        holder, alone = self.database.name, self.database.is_sqlite
        work = await self.database.write(lambda c: table.take(c, holder, now, now + HELD_FOR, alone=alone))
        if work is None:
            return False
        try:
            while await self._step(work):
                pass
        except (GatewayError, OSError) as error:
            log.warning("retention: job %s, store %s: %s", work["job_id"], work["store"], error)
            await self._put_off(work, str(error))
        return True

    async def _step(self, work: Row) -> bool:
        """Do the next outputs; return False when there is nothing more to do."""
        if work["action"] == RESTORE:
            return await self._restoring.step(work)
        step = await self.database.write(lambda c: self._mark(c, work))
        if step is None:
            return False
        store = self.stores.get(work["store"])
        if store is None:
            raise StoreError(f"store {work['store']} is not configured any more")
        if step.kept is not None:
            await self._take_back(work, step, store)
            await self._put_off(work, step.kept)
            return False
        if step.paths and work["action"] == "delete":
            await store.remove(step.place, step.paths)
        elif step.paths:
            await store.archive(step.place, step.paths, work["tier"])
        return await self.database.write(lambda c: self._done(c, work, step))

    def _mark(self, connection: Connection, work: Row) -> Step | None:
        """Mark the next outputs, unless something keeps them; None where the work is not this process's any more."""
        state = job_table.state_of(connection, work["job_id"])  # whoever holds the outputs looks in the same way
        now = table.get_work(connection, work["id"])
        job = job_table.get(connection, work["job_id"])
        if now is None or job is None or now["done_at"] is not None or now["holder"] != self.database.name:
            return None
        mine = [s for s in job_table.stores_of(connection, [job["id"]])[job["id"]] if s["store"] == work["store"]]
        place = Place(job["id"], job["owner"], job["case"], mine[0]["path"] if mine else None)
        holds, readers = table.holds(connection, [job["id"]]), table.readers(connection, [job["id"]])
        kept = kept_back(holds.get(job["id"], []), readers.get(job["id"]), mine)
        if state not in ENDED:
            kept = f"the job is {state}"
        position = now["position"]
        if kept is not None:
            rows = catalogue.files(connection, job["id"], work["store"], after=position, limit=AT_ONCE * WINDOWS)
            marked = [row["path"] for row in rows if row["going"] == work["action"]]
            return Step(job, place, marked, position, False, kept)
        table.set_work(connection, work["id"], held_until=job_table.now() + HELD_FOR)
        patterns = [parse_pattern(pattern) for pattern in work["keep"]]
        for _ in range(WINDOWS):
            rows = catalogue.files(connection, job["id"], work["store"], after=position, limit=AT_ONCE)
            paths = [row["path"] for row in rows if wanted(row, patterns, work["action"], work["tier"])]
            position = rows[-1]["path"] if rows else position
            if paths or len(rows) < AT_ONCE:
                break
        table.set_going(connection, job["id"], work["store"], paths, work["action"])
        return Step(job, place, paths, position, len(rows) < AT_ONCE)

    def _done(self, connection: Connection, work: Row, step: Step) -> bool:
        """Take outputs out of the catalogue, or note their tier; return whether there is more to do."""
        job_table.state_of(connection, work["job_id"])
        now = table.get_work(connection, work["id"])
        if now is None or now["holder"] != self.database.name:
            return False  # another process goes on from where that is not written down
        count, size = self._forget(connection, work, step.paths)
        changes = {"count": now["count"] + count, "bytes": now["bytes"] + size, "position": step.position}
        table.set_work(connection, work["id"], **changes, tries=0, problem=None)
        if not step.last:
            return True
        table.set_work(connection, work["id"], done_at=job_table.now(), holder=None, held_until=None)
        data = {name: work[name] for name in ("store", "rule", "action", "tier", "by")}
        data |= {"count": changes["count"], "bytes": changes["bytes"]}
        job_table.set_columns(connection, work["job_id"])
        events.append(connection, work["job_id"], step.job["owner"], "retention", data, at=job_table.now())
        return False

    def _forget(self, connection: Connection, work: Row, paths: Sequence[str]) -> tuple[int, int]:
        """Write what is gone, with a row of the audit log; return how many outputs and bytes that are."""
        job_id, store = work["job_id"], work["store"]
        rows = table.outputs_named(connection, job_id, store, paths)
        if not rows:
            return 0, 0
        names = [row["path"] for row in rows]
        size = sum(row["size"] for row in rows)
        if work["action"] == "delete":
            catalogue.remove(connection, job_id, store, names)
        else:
            table.set_archived(connection, job_id, store, names, work["tier"])
        self._audit(connection, work, names, size)
        return len(rows), size

    def _audit(self, connection: Connection, work: Row, names: Sequence[str], size: int) -> None:
        owner = people.owner_of_job(connection, work["job_id"])
        what = f"{work['store']}, rule {work['rule']}: {len(names)} outputs, {size} bytes"
        entry = {
            "at": job_table.now(),
            "person": work["by"],
            "token": None,
            "request": work["id"],
            "action": f"retention_{work['action']}",
            "method": "DELETE" if work["action"] == "delete" else "PUT",
            "path": f"/jobs/{work['job_id']}/outputs: {what}, {names[0]} to {names[-1]}"[:2000],
            "owner": owner,
            "status": 200,
        }
        people.insert_audit(connection, [entry])

    async def _take_back(self, work: Row, step: Step, store: Store) -> None:
        """Settle what was marked before somebody held the outputs: what the store still has stays."""
        gone = [path for path in step.paths if await store.stat(step.place, path) is None]
        there = sorted(set(step.paths) - set(gone))

        def write(connection: Connection) -> None:
            job_table.state_of(connection, work["job_id"])
            now = table.get_work(connection, work["id"])
            if now is None:
                return
            table.set_going(connection, work["job_id"], work["store"], there, None)
            if work["action"] == "delete":
                count, size = self._forget(connection, work, gone)
                table.set_work(connection, work["id"], count=now["count"] + count, bytes=now["bytes"] + size)

        await self.database.write(write)

    async def _put_off(self, work: Row, problem: str) -> None:
        """Try again later, or when whatever keeps the outputs is gone."""

        def write(connection: Connection) -> None:
            now = table.get_work(connection, work["id"])
            if now is None or now["holder"] != self.database.name:
                return
            pause = AGAIN[min(now["tries"], len(AGAIN) - 1)]
            later = job_table.now() + timedelta(seconds=pause)
            tries = {"tries": now["tries"] + 1, "problem": problem[:1000]}
            table.set_work(connection, work["id"], holder=None, held_until=later, **tries)

        await self.database.write(write)
