"""Prepares and stages attempts in batches; one that is bad never keeps others back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import RowMapping

from gateway.compute.scheduler.base import SchedulerFacts
from gateway.compute.staging import StagingOutcome, stage
from gateway.compute.target import Target
from gateway.db import jobs, libraries, moves
from gateway.db.database import Database
from gateway.engine import retries, steps
from gateway.engine.image_sources import images_of
from gateway.engine.images import ImageDelivery
from gateway.engine.inputs import InputFiles
from gateway.engine.kept_inputs import KeptInputs
from gateway.engine.metalinks import note_metalink
from gateway.engine.plan import plan_job, with_images
from gateway.engine.prepare import Batch, Prepared, prepare
from gateway.engine.renew import RENEW_AFTER
from gateway.engine.sharing import shared_stores
from gateway.engine.steps import Step
from gateway.engine.timing import Timing
from gateway.engine.verdict import Ending
from gateway.errors import GatewayError, RemoteCommandFailed, StagingFailed, StoreError, TargetUnreachable
from gateway.model.states import State
from gateway.settings import Settings
from gateway.storage.stores.base import Store

log = logging.getLogger(__name__)

Row = RowMapping
PREPARED_AT_ONCE = 256
"""Jobs whose stores are asked for credentials at the same time."""


@dataclass(frozen=True)
class Failed:
    """How often an attempt could not be staged, and when it is tried again."""

    tries: int
    again_at: datetime


class Stager:
    """Stages the jobs of one target.

    Attributes
    ----------
    failures
        Jobs that could not be staged, and will be tried again.
    """

    def __init__(
        self,
        target: Target,
        database: Database,
        stores: Mapping[str, Store],
        timing: Timing,
        inputs: InputFiles,
        images: ImageDelivery,
        settings: Settings,
    ) -> None:
        self.target = target
        self.database = database
        self.stores = stores
        self.timing = timing
        self.inputs = inputs
        self.images = images
        self.settings = settings
        self.kept_inputs = KeptInputs(settings.gateway.data_folder)
        self.failures: dict[str, Failed] = {}
        self._kept: set[str] = set()
        """Digests of libraries that the database has."""

    def forget(self, live: Collection[str]) -> None:
        """Forget what is known of all other jobs."""
        self.failures = {job_id: failed for job_id, failed in self.failures.items() if job_id in live}

    def due(self, rows: Sequence[Row]) -> list[Row]:
        """Return those of `rows` that do not wait for their next try."""
        now = datetime.now(UTC)
        return [r for r in rows if r["id"] not in self.failures or self.failures[r["id"]].again_at <= now]

    async def stage(self, job_ids: Sequence[str], facts: SchedulerFacts) -> set[str] | None:
        """Stage what is ready; return the ids of what is staged now, None where nothing was sent.

        Others wait for inputs or images; the bell rings when these are there.
        """
        rows = await self.database.read(partial(jobs.whole, job_ids=job_ids))
        wanted = [r for r in rows if r["state"] == State.STAGING and r["cancel_requested_at"] is None]
        prepared = await self._prepare_all(wanted, facts)
        if not prepared:
            return None
        steps.reached(Step.PREPARED)
        try:
            outcomes = await stage(self.target.transport, [item.staged for _, item in prepared])
        except TargetUnreachable:
            raise
        except GatewayError as error:  # a reason that all share: a full disk …
            for row, _ in prepared:
                await self.failed(row, error, final=False)
            return set()
        steps.reached(Step.STAGED_THERE)
        return await self._write_down(prepared, outcomes)

    async def _write_down(
        self, prepared: Sequence[tuple[Row, Prepared]], outcomes: Sequence[StagingOutcome]
    ) -> set[str]:
        judged = list(zip(prepared, outcomes, strict=True))
        arrived = [(row, item) for (row, item), outcome in judged if outcome.status != "failed"]
        await self.database.write(lambda c: self._staged(c, arrived))
        steps.reached(Step.STAGED)
        self._kept |= {item.library.digest for _, item in arrived}
        for row, _ in arrived:
            self.failures.pop(row["id"], None)
            self.inputs.release(row["id"])
            self.images.release(row["id"])
        for (row, _), outcome in judged:
            if outcome.status == "failed":
                await self.failed(row, GatewayError(outcome.message or "staging failed"), final=False)
        return {row["id"] for row, _ in arrived}

    async def _prepare_all(self, rows: Sequence[Row], facts: SchedulerFacts) -> list[tuple[Row, Prepared]]:
        """Make what staging sends, of those that are ready."""
        turn = asyncio.Semaphore(PREPARED_AT_ONCE)

        async def one(row: Row) -> Prepared | None:
            async with turn:
                return await self._prepare(row, facts, shared[row["id"]], batch)

        batch = Batch()
        shared = await shared_stores(self.database, self.settings, rows)
        found = await asyncio.gather(*(one(row) for row in rows), return_exceptions=True)
        prepared: list[tuple[Row, Prepared]] = []
        for row, item in zip(rows, found, strict=True):
            if isinstance(item, TargetUnreachable) or (
                isinstance(item, BaseException) and not isinstance(item, Exception)
            ):
                raise item
            if isinstance(item, GatewayError):
                await self.failed(row, item, final=not _may_heal(item))
            elif isinstance(item, Exception):
                log.error("job %s: it could not be prepared", row["id"], exc_info=item)
                error = GatewayError(f"the job could not be prepared ({type(item).__name__})")
                await self.failed(row, error, final=True)
            elif isinstance(item, Prepared):
                prepared.append((row, item))
        return prepared

    async def _prepare(self, row: Row, facts: SchedulerFacts, shared: frozenset[str], batch: Batch) -> Prepared | None:
        """Make what staging sends; None while inputs or the image are on their way (the bell rings then)."""
        plan = plan_job(row, row["stores"])
        if unknown := [item.name for item in plan.stores if item.name not in self.stores]:
            raise StagingFailed(f"store {unknown[0]} is not configured any more")
        files = self.inputs.ready(row["id"], self.target.name, plan.specification.inputs, row["owner"])
        placed = [self.images.place(row, self.target, image) for image in images_of(plan.specification)]
        there = [image for image in placed if image is not None]
        if files is None or len(there) < len(placed):
            return None
        plan = with_images(plan, there)
        if files:
            await asyncio.to_thread(self.kept_inputs.keep, row["id"], files)
        for image in there:
            await note_metalink(self.database, self.target.public_name, image, batch)
        return await prepare(plan, row["a_submission"], self.target, facts, self.stores, files, shared, batch)

    def _staged(self, connection: Any, arrived: Sequence[tuple[Row, Prepared]]) -> None:
        at, columns = jobs.now(), []
        for row, item in arrived:
            folders, renew_at = item.folders, at + RENEW_AFTER if "push" in item.transfers.values() else None
            found = {"staged_at": at, "control_folder": folders.control, "job_folder": folders.job}
            columns.append((row["id"], row["attempt"], {**found, "script": item.script, "renew_at": renew_at}))
        moves.set_attempts(connection, columns)
        for library in {item.library for _, item in arrived}:
            if library.digest not in self._kept:
                libraries.keep(connection, library.digest, library.text)
        stores = [(row["id"], store, how) for row, item in arrived for store, how in item.transfers.items()]
        moves.set_stores(connection, stores)

    async def failed(self, row: Row, error: GatewayError, *, final: bool) -> None:
        """Try again some times what may heal, saying why, then give up."""
        before = self.failures.pop(row["id"], None)
        tries = before.tries + 1 if before else 1
        log.warning("job %s: staging failed (%d): %s", row["id"], tries, error)
        if not final and tries <= len(self.timing.staging_delays):
            again_at = datetime.now(UTC) + timedelta(seconds=self.timing.staging_delays[tries - 1])
            self.failures[row["id"]] = Failed(tries, again_at)
            await self.database.write(lambda c: jobs.explain(c, row["id"], State.STAGING, str(error)))
            return
        self.inputs.release(row["id"])
        self.images.release(row["id"])
        await self.database.write(lambda c: self.refuse(c, row, "staging_failed", str(error)))

    def refuse(self, connection: Any, row: Row, reason: str, message: str) -> None:
        """End an attempt that was not submitted: with the next one, or with the job's end."""
        if jobs.state_of(connection, row["id"]) is not State.STAGING:  # it may have been cancelled meanwhile
            return
        if retries.begin_unsent(connection, row, Ending(State.FAILED, reason, message, None)):
            again_at = datetime.now(UTC) + retries.pause(row["attempt"], self.timing)
            self.failures[row["id"]] = Failed(0, again_at)
        else:
            jobs.change_state(connection, row["id"], State.FAILED, reason=reason, message=message)


def _may_heal(error: GatewayError) -> bool:
    """Say whether another try makes sense: what is away may be back, and a disk that is full may be so no more."""
    return error.status == 503 or isinstance(error, RemoteCommandFailed | StoreError)
