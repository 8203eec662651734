"""From accepted to queued: prepare, stage, submit; and what to do when an answer was lost."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import RowMapping

from gateway.compute.scheduler.base import SchedulerFacts, Submission
from gateway.compute.staging import stage
from gateway.compute.target import Target
from gateway.db import jobs
from gateway.db.database import Database
from gateway.engine.plan import plan_job
from gateway.engine.poll import Sight
from gateway.engine.prepare import Prepared, prepare
from gateway.engine.submit import Submitted, batch_script, read_answers
from gateway.engine.timing import Timing
from gateway.errors import GatewayError, TargetUnreachable
from gateway.model.specification import JobSpecification
from gateway.model.states import State
from gateway.storage.stores.base import Store

log = logging.getLogger(__name__)

Row = RowMapping


class Launcher:
    """Launches the jobs of one target in batches."""

    def __init__(self, target: Target, database: Database, stores: Mapping[str, Store], timing: Timing) -> None:
        self.target = target
        self.database = database
        self.stores = stores
        self.timing = timing
        self._failures: dict[str, int] = {}

    async def launch(self, rows: Sequence[Row], facts: SchedulerFacts) -> None:
        """Take every job one step further that waits for staging or submission."""
        await self._give_up_cancelled(rows)
        waiting = [r for r in rows if r["cancel_requested_at"] is None]
        fresh = [r for r in waiting if r["state"] == State.ACCEPTED]
        if fresh:
            await self.database.write(lambda c: self._begin(c, fresh))
            rows = await self.database.read(lambda c: jobs.live(c, self.target.name))
            waiting = [r for r in rows if r["cancel_requested_at"] is None]
        staging = [r for r in waiting if r["state"] == State.STAGING]
        unstaged = [r for r in staging if r["a_staged_at"] is None]
        for start in range(0, len(unstaged), self.timing.batch):
            await self._stage(unstaged[start : start + self.timing.batch], facts)
        if unstaged:
            rows = await self.database.read(lambda c: jobs.live(c, self.target.name))
            staging = [r for r in rows if r["state"] == State.STAGING and r["cancel_requested_at"] is None]
        ready = [r for r in staging if r["a_staged_at"] and self._may_submit(r)]
        for start in range(0, len(ready), self.timing.batch):
            await self._submit(ready[start : start + self.timing.batch], facts)

    def _may_submit(self, row: Row) -> bool:
        started = row["a_submit_started_at"]
        waited = (datetime.now(UTC) - started).total_seconds() if started else None
        return waited is None or waited >= self.timing.submit_grace

    async def _give_up_cancelled(self, rows: Sequence[Row]) -> None:
        """End at once what was cancelled before anything was sent to the scheduler."""
        unsent = [
            r
            for r in rows
            if r["cancel_requested_at"] is not None
            and r["state"] in (State.ACCEPTED, State.STAGING)
            and r["a_submit_started_at"] is None
        ]

        def cancel(connection: Any) -> None:
            for row in unsent:
                if jobs.state_of(connection, row["id"]) is not State(row["state"]):
                    continue
                jobs.change_state(connection, row["id"], State.CANCELLED, reason="cancelled_by_user")

        if unsent:
            await self.database.write(cancel)

    @staticmethod
    def _begin(connection: Any, rows: Sequence[Row]) -> None:
        """Store each attempt with its submission's name, before anything is sent."""
        for row in rows:
            if jobs.state_of(connection, row["id"]) is State.ACCEPTED:  # it may have been cancelled meanwhile
                jobs.insert_attempt(connection, row["id"], row["attempt"], f"gw-{secrets.token_hex(6)}")
                jobs.change_state(connection, row["id"], State.STAGING)

    async def _stage(self, rows: Sequence[Row], facts: SchedulerFacts) -> None:
        prepared: list[tuple[Row, Prepared]] = []
        for row in rows:
            plan = plan_job(row, row["stores"])
            try:
                item = await prepare(plan, row["a_submission"], self.target, facts, self.stores)
            except TargetUnreachable:
                raise
            except GatewayError as error:
                await self._staging_failed(row, error, final=error.status != 503)
            else:
                prepared.append((row, item))
        if not prepared:
            return
        outcomes = await stage(self.target.transport, [item.staged for _, item in prepared])
        for (row, item), outcome in zip(prepared, outcomes, strict=True):
            if outcome.status == "failed":
                await self._staging_failed(row, GatewayError(outcome.message or "staging failed"), final=False)
            else:
                await self.database.write(partial(self._staged, row=row, item=item))

    @staticmethod
    def _staged(connection: Any, row: Row, item: Prepared) -> None:
        jobs.set_attempt(
            connection,
            row["id"],
            row["attempt"],
            staged_at=jobs.now(),
            control_folder=item.folders.control,
            job_folder=item.folders.job,
            script=item.script,
        )
        for store, how in item.transfers.items():
            jobs.set_store(connection, row["id"], store, transfer=how)

    async def _staging_failed(self, row: Row, error: GatewayError, *, final: bool) -> None:
        """Try again some times what may heal, then say why."""
        tries = self._failures[row["id"]] = self._failures.get(row["id"], 0) + 1
        log.warning("job %s: staging failed (%d): %s", row["id"], tries, error)
        if final or tries >= self.timing.staging_tries:
            self._failures.pop(row["id"], None)
            await self._fail(row, "staging_failed", str(error))

    async def _fail(self, row: Row, reason: str, message: str) -> None:
        await self.database.write(
            lambda c: jobs.change_state(c, row["id"], State.FAILED, reason=reason, message=message)
        )

    def _submission(self, row: Row) -> Submission:
        resources = JobSpecification.model_validate(row["spec"]).resources
        return Submission(row["a_submission"], row["a_control_folder"], resources)

    async def _submit(self, rows: Sequence[Row], facts: SchedulerFacts) -> None:
        """Submit a batch. What is sent is written down first, so that a lost answer is known as such."""
        at = datetime.now(UTC)

        def started(connection: Any) -> None:
            for row in rows:
                jobs.set_attempt(connection, row["id"], row["attempt"], submit_started_at=at)

        await self.database.write(started)
        submissions = [self._submission(row) for row in rows]
        script = batch_script(self.target.scheduler, facts, submissions)
        result = await self.target.transport.run(script.text, timeout=self.timing.submit_timeout)
        answers = read_answers(self.target.scheduler, facts, submissions, script.parse(result))

        def record(connection: Any) -> None:
            for row in rows:
                self._submitted(connection, row, answers[row["a_submission"]])

        await self.database.write(record)

    def _submitted(self, connection: Any, row: Row, answer: Submitted) -> None:
        if answer.refused is not None:
            jobs.change_state(connection, row["id"], State.FAILED, reason="scheduler_rejected", message=answer.refused)
        elif answer.scheduler_id is None:
            log.warning("job %s: the submission's answer says nothing: %s", row["id"], answer.problem)
        else:
            self._queued(connection, row, answer.scheduler_id)

    @staticmethod
    def _queued(connection: Any, row: Row, scheduler_id: str) -> None:
        at = jobs.now()
        jobs.set_attempt(connection, row["id"], row["attempt"], scheduler_id=scheduler_id, submitted_at=at)
        jobs.change_state(
            connection,
            row["id"],
            State.QUEUED,
            evidence={"submission": row["a_submission"], "scheduler_id": scheduler_id},
            scheduler_id=scheduler_id,
            queued_at=row["queued_at"] or at,
        )

    async def adopt(self, rows: Sequence[Row], sight: Sight, facts: SchedulerFacts) -> None:
        """Find submissions whose answer was lost: by their claim, by the kept answer, by name at the scheduler."""
        found = []
        for row in rows:
            record = sight.records.get(row["a_control_folder"])
            name = row["a_submission"]
            if record is not None and record.claim is not None:
                found.append((row, record.claim.scheduler_id))
            elif kept := sight.kept.get(name, "").strip():
                found.append((row, self.target.scheduler.submit(self._submission(row), facts).parse(kept, "", 0)))
            elif sight.found.get(name):
                found.append((row, sight.found[name][0]))

        def write(connection: Any) -> None:
            for row, scheduler_id in found:
                self._queued(connection, row, scheduler_id)

        if found:
            await self.database.write(write)
