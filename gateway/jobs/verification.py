"""Verifying outputs again: signature, the store's listing, and every byte, beside everything else and resumable."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from gateway.db import jobs, verifications
from gateway.db.database import Database
from gateway.errors import Conflict, GatewayError, NotFound, StoreError
from gateway.jobs import cursors
from gateway.jobs.outputs import chosen_store, stores_of_job
from gateway.jobs.rows import owned
from gateway.jobs.signing_keys import SigningKeyRing
from gateway.jobs.verifying import Cancelled, Report, Work
from gateway.jobs.views import Row
from gateway.model.states import ENDED, OutputsState, State
from gateway.model.verification import Finding, Result, Verdict, Verification
from gateway.storage.stores.base import Place, Store

log = logging.getLogger(__name__)

HEARTBEAT = 1.0
"""Seconds between two notes of how far it is."""
STALE = timedelta(seconds=60)
"""After so long without a note, the process that verified has gone."""
AT_ONCE = 2
"""Verifications that one process does at the same time; the others wait for their turn."""


@dataclass(frozen=True)
class Wanted:
    """What to verify.

    Attributes
    ----------
    sample
        Read so many files again, chosen by chance; None: all.
    fresh
        Begin anew also where an earlier one was broken off.
    """

    store: str | None = None
    sample: int | None = None
    fresh: bool = False


class Verifier:
    """Verifies outputs of ended jobs, as tasks of this process; what was found stands in the database."""

    def __init__(self, database: Database, stores: Mapping[str, Store], keys: SigningKeyRing) -> None:
        self.database = database
        self.stores = stores
        self.keys = keys
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def begin(self, job_id: str, owner: str, wanted: Wanted) -> Verification:
        """Begin a verification, or go on with one that was broken off; one that runs is left alone.

        Raises
        ------
        NotFound
        Conflict
            The job has not ended, or nothing of its outputs was ever proved in this store.
        """

        def write(connection: Connection) -> tuple[Row, Row, bool]:
            row = owned(connection, job_id, owner)
            chosen = chosen_store(stores_of_job(connection, job_id), wanted.store)
            if State(row["state"]) not in ENDED:
                raise Conflict(f"the job is {row['state']}: its outputs are verified when it has ended")
            if chosen["state"] == OutputsState.NONE and not chosen["count"]:
                raise Conflict(f"there are no outputs in store {chosen['store']}")
            if chosen["store"] not in self.stores:
                raise StoreError(f"store {chosen['store']} is not configured any more")
            old = verifications.get(connection, job_id, chosen["store"])
            if old is not None and old["state"] == "running" and not verifications.is_stale(old, jobs.now() - STALE):
                return row, chosen, False
            again = old is not None and old["state"] != "done" and not wanted.fresh and old["sample"] == wanted.sample
            verifications.begin(
                connection, job_id, chosen["store"], self.database.name, wanted.sample, again=again and old is not None
            )
            return row, chosen, True

        row, chosen, mine = await self.database.write(write)
        if mine:
            key = (job_id, chosen["store"])
            if (before := self._tasks.get(key)) is not None:  # cancelled, and perhaps not over yet
                before.cancel()
                await asyncio.gather(before, return_exceptions=True)
            task = asyncio.create_task(self._run(dict(row), dict(chosen)), name=f"verify {job_id}")
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await self.read(job_id, owner, chosen["store"])

    async def read(
        self, job_id: str, owner: str, store: str | None = None, *, limit: int = 1000, cursor: str | None = None
    ) -> Verification:
        """Return the latest verification with a page of what it found; raises `NotFound` where there was none."""
        after = str(cursors.decode(cursor, "findings", str)[0]) if cursor is not None else ""

        def read(connection: Connection) -> tuple[Row | None, list[Row]]:
            owned(connection, job_id, owner)
            chosen = chosen_store(stores_of_job(connection, job_id), store)["store"]
            found = verifications.page(connection, job_id, chosen, after=after, limit=limit + 1)
            return verifications.get(connection, job_id, chosen), list(found)

        row, found = await self.database.read(read)
        if row is None:
            raise NotFound("the outputs were not verified yet")
        following = cursors.encode("findings", found[limit - 1]["path"]) if len(found) > limit else None
        stale = verifications.is_stale(row, jobs.now() - STALE)
        return verification_of(row, found[:limit], following, stale=stale)

    async def cancel(self, job_id: str, owner: str, store: str | None = None) -> Verification:
        """End a verification; what it found is kept, and asking again goes on. Raises `Conflict` where none runs."""

        def write(connection: Connection) -> str:
            owned(connection, job_id, owner)
            chosen = str(chosen_store(stores_of_job(connection, job_id), store)["store"])
            if not verifications.cancel(connection, job_id, chosen):
                raise Conflict("no verification of these outputs runs")
            return chosen

        chosen = await self.database.write(write)
        if (task := self._tasks.get((job_id, chosen))) is not None:
            task.cancel()
        return await self.read(job_id, owner, chosen)

    async def close(self) -> None:
        """End all; another process, or this one when it is back, goes on where asked to."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("job %s, store %s: verifying failed", *key, exc_info=error)

    async def _run(self, row: dict[str, Any], chosen: dict[str, Any]) -> None:
        """Do it all, with a note of how far it is every second; whoever cancels it is seen by that note."""
        store = chosen["store"]
        report = Report()
        beat = asyncio.create_task(self._beat(row["id"], store, report))
        try:
            async with self._turn:
                verdict = await self._verdict(row, chosen, report, beat)
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            name = self.database.name
            await self.database.write(lambda c: verifications.end(c, row, store, name, str(verdict), report.as_json()))
        except Cancelled:
            return
        except asyncio.CancelledError:
            await self._note(row["id"], store, report, state="interrupted")
            raise
        finally:
            beat.cancel()

    async def _verdict(
        self, row: dict[str, Any], chosen: dict[str, Any], report: Report, beat: asyncio.Task[None]
    ) -> Verdict:
        place = Place(row["id"], row["owner"], row["case"], chosen["path"])
        old = await self.database.read(lambda c: verifications.get(c, row["id"], chosen["store"]))
        if old is None:
            raise Cancelled
        work = Work(self.database, self.stores[chosen["store"]], place, row, chosen, report, beat)
        try:
            return await work.run(await self.keys.known(), old)
        except (GatewayError, OSError) as error:
            report.problem = str(error)
            return Verdict.INCOMPLETE

    async def _beat(self, job_id: str, store: str, report: Report) -> None:
        """Write notes until it is cancelled; end where the verification is not this process's any more."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            if not await self._note(job_id, store, report):
                return

    async def _note(self, job_id: str, store: str, report: Report, **values: Any) -> bool:
        name, told = self.database.name, dict(values)
        if report.basis is not None:  # before that, what an earlier try left is what counts
            told |= {"report": report.as_json(), "position": report.position, "basis": report.basis}
        with contextlib.suppress(GatewayError):
            return await self.database.write(lambda c: verifications.note(c, job_id, store, name, **told))
        return True


def verification_of(row: Row, found: list[Row], following: str | None, *, stale: bool) -> Verification:
    """Return a verification as the API shows it. Pure."""
    report = row["report"]
    shown = {name: report[name] for name in Report.SHOWN if name in report}
    return Verification(
        **{name: row[name] for name in ("job_id", "store", "verdict", "sample")},
        **{name: row[name] for name in ("started_at", "updated_at", "ended_at")},
        **shown,
        state="interrupted" if stale else row["state"],
        findings=[Finding(path=item["path"], result=Result(item["result"]), detail=item["detail"]) for item in found],
        next_cursor=following,
    )
