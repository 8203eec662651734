"""Background passes that the gateway itself runs for stores that the node cannot push to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import RowMapping

from gateway.compute.target import Target
from gateway.db import jobs
from gateway.db.database import Database, DatabaseUnavailable
from gateway.engine import behind, write
from gateway.engine.plan import JobPlan, StorePlan, plan_job
from gateway.errors import GatewayError
from gateway.model.records import Unsent
from gateway.model.states import State
from gateway.storage.relay import Left, RelayOptions, relay_pass
from gateway.storage.relay_follow import Followed
from gateway.storage.stores.base import Store

log = logging.getLogger(__name__)

Row = RowMapping
PAUSE = 30.0
"""Seconds after an unexpected failure."""
TELL = 10.0
"""Seconds between two words about a pass that takes long."""


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
        self._whole: dict[tuple[str, str], datetime] = {}
        """By job and store, when the last pass began that copied everything."""
        self._followed: dict[tuple[str, str, int], Followed] = {}
        """By job, store and attempt, what they have of files that are only appended to."""

    def follow(self, rows: Sequence[Row]) -> None:
        """Start tasks for jobs whose payload runs, and end those of jobs that are over."""
        running = {row["id"]: row for row in rows if row["state"] == State.RUNNING and row["a_payload_started_at"]}
        live = {row["id"] for row in rows if row["state"] != State.LOST}
        for job_id in set(self._tasks) - live:
            self._tasks.pop(job_id).cancel()
            self._wanted.pop(job_id, None)
        self._whole = {key: began for key, began in self._whole.items() if key[0] in live}
        self._followed = {key: sent for key, sent in self._followed.items() if key[0] in live}
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
                    async with self.target.relay.turn:
                        await self._pass(row, plan, item)

    async def _pass(self, row: Row, plan: JobPlan, item: StorePlan) -> None:
        store, began, left = self.stores[item.name], datetime.now(UTC), _Latest()
        settle = plan.specification.sync.settle
        options = RelayOptions(settle=settle, bandwidth=self.target.relay.bandwidth)
        telling = asyncio.create_task(self._tell(row, item.name, left))
        try:
            source = await self.target.transport.relay_source(row["a_job_folder"])
            await store.prepare(item.place)
            result = await relay_pass(
                source,
                store,
                item.place,
                item.transfers,
                final=False,
                options=options,
                on_left=left.set,
                followed=self._followed.setdefault((row["id"], item.name, row["attempt"]), Followed()),
            )
        except GatewayError as error:
            log.warning("job %s, store %s: background pass: %s", row["id"], item.name, error)
            await self._note_behind(row, item.name, None)
            return
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        rows = [write.placed_row(row["attempt"], path, size) for path, size in result.copied]
        await self.database.write(lambda c: write.note_outputs(c, row, item.name, rows))
        if not result.exit_status or result.growing:
            self._whole[row["id"], item.name] = began - timedelta(seconds=settle)
            await self._note_behind(row, item.name, left.value if result.growing else result.left)
        else:
            log.warning("job %s, store %s: background pass: %s", row["id"], item.name, result.message)
            await self._note_behind(row, item.name, left.value)

    async def _tell(self, row: Row, store: str, left: _Latest) -> None:
        """While a pass takes long, say every few seconds what is left of it."""
        while True:
            await asyncio.sleep(TELL)
            if left.value is not None:
                await self._note_behind(row, store, left.value)

    async def _note_behind(self, row: Row, store: str, left: Left | None) -> None:
        """Write what is not copied. It has not waited for longer than since the last pass that copied everything."""
        at = datetime.now(UTC)
        since = self._whole.get((row["id"], store), row["a_payload_started_at"] or at)
        nothing = left is not None and not left.files
        lag = None if nothing else max(0.0, (at - since).total_seconds())
        unsent = Unsent(store, left.bytes if left else None, left.files if left else None, lag)
        try:
            await self.database.write(lambda c: behind.note(c, [behind.Said(row, (unsent,), "relay")], at))
        except DatabaseUnavailable as error:
            log.warning("job %s, store %s: %s", row["id"], store, error)

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


class _Latest:
    """The newest word of a pass about what is left to copy."""

    value: Left | None = None

    def set(self, left: Left) -> None:
        """Take a word."""
        self.value = left


async def _rest(wanted: asyncio.Event, interval: float | None) -> None:
    """Wait for the next pass: until it is wanted, or the interval is over (None: there is none)."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(interval):
            await wanted.wait()
    wanted.clear()
