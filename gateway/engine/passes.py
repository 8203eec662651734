"""Background passes that the gateway itself runs for stores that the node cannot push to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence

from sqlalchemy import RowMapping

from gateway.compute.target import Target
from gateway.db import jobs
from gateway.db.database import Database, DatabaseUnavailable
from gateway.engine import write
from gateway.engine.plan import JobPlan, StorePlan, plan_job
from gateway.errors import GatewayError
from gateway.model.states import State
from gateway.storage.relay import RelayOptions, relay_pass
from gateway.storage.stores.base import Store

log = logging.getLogger(__name__)

Row = RowMapping
AT_ONCE = 2
"""Relay passes of one target at the same time: each is one more SSH connection."""

PAUSE = 30.0
"""Seconds after an unexpected failure."""


class RelayPasses:
    """One task for each running job that has a relayed store. Never two passes of a store at once."""

    def __init__(self, target: Target, database: Database, stores: Mapping[str, Store]) -> None:
        self.target = target
        self.database = database
        self.stores = stores
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wanted: dict[str, asyncio.Event] = {}
        self._seen: set[str] = set()
        """Jobs whose payload runs, of whom it is known or being found out whether they have a relayed store."""
        self._looking: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(AT_ONCE)

    def follow(self, rows: Sequence[Row]) -> None:
        """Start tasks for jobs whose payload runs, and end those of jobs that are over."""
        running = {row["id"]: row for row in rows if row["state"] == State.RUNNING and row["a_payload_started_at"]}
        live = {row["id"] for row in rows if row["state"] != State.LOST}
        for job_id in set(self._tasks) - live:
            self._tasks.pop(job_id).cancel()
            self._wanted.pop(job_id, None)
        self._seen &= live
        if fresh := [row for job_id, row in running.items() if job_id not in self._seen]:
            self._seen |= {row["id"] for row in fresh}
            task = asyncio.create_task(self._look(fresh))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _look(self, rows: Sequence[Row]) -> None:
        """Start a task for each of those jobs that have a relayed store."""
        ids = [row["id"] for row in rows]
        try:
            found = await self.database.read(lambda c: jobs.stores_of(c, ids))
        except DatabaseUnavailable as error:
            log.warning("target %s: %s", self.target.name, error)
            self._seen -= set(ids)  # the next tick asks again
            return
        for row in rows:
            relayed = any(item["transfer"] == "relay" for item in found.get(row["id"], []))
            if relayed and row["id"] in self._seen and row["id"] not in self._tasks:
                self._tasks[row["id"]] = asyncio.create_task(self._run(row))

    async def _run(self, row: Row) -> None:
        while True:
            try:
                await self._follow_job(row)
            except Exception:
                log.exception("job %s: its background passes failed", row["id"])
                await asyncio.sleep(PAUSE)
            else:
                return

    async def _follow_job(self, row: Row) -> None:
        rows = await self.database.read(lambda c: jobs.whole(c, [row["id"]]))
        found = await self.database.read(lambda c: jobs.stores_of(c, [row["id"]]))
        relayed = {item["store"] for item in found.get(row["id"], []) if item["transfer"] == "relay"}
        if not rows or not relayed:
            return
        plan = plan_job(rows[0], row["stores"])
        wanted = self._wanted.setdefault(row["id"], asyncio.Event())
        while True:
            await _rest(wanted, plan.specification.sync.interval)
            for item in plan.stores:
                if item.name in relayed and item.name in self.stores:
                    async with self._turn:
                        await self._pass(row, plan, item)

    async def _pass(self, row: Row, plan: JobPlan, item: StorePlan) -> None:
        store = self.stores[item.name]
        options = RelayOptions(settle=plan.specification.sync.settle)
        try:
            source = await self.target.transport.relay_source(row["a_job_folder"])
            await store.prepare(item.place)
            result = await relay_pass(source, store, item.place, item.transfers, final=False, options=options)
        except GatewayError as error:
            log.warning("job %s, store %s: background pass: %s", row["id"], item.name, error)
            return
        rows = [write.placed_row(row["attempt"], path, size) for path, size in result.copied]
        await self.database.write(lambda c: write.note_outputs(c, row, item.name, rows))

    def now(self, row: Row) -> None:
        """Make the next pass of a running job at once; several requests count as one."""
        self._wanted.setdefault(row["id"], asyncio.Event()).set()

    async def stop(self, job_id: str) -> None:
        """End a job's background passes and wait until the last one is over."""
        self._wanted.pop(job_id, None)
        self._seen.discard(job_id)
        task = self._tasks.pop(job_id, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """End all background passes."""
        for looking in list(self._looking):
            looking.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)
        for job_id in list(self._tasks):
            await self.stop(job_id)


async def _rest(wanted: asyncio.Event, interval: float | None) -> None:
    """Wait for the next pass: until it is wanted, or the interval is over (None: there is none)."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(interval):
            await wanted.wait()
    wanted.clear()
