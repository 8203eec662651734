"""From accepted to queued: prepare, stage, submit; and what to do when an answer was lost."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import RowMapping

from gateway.compute.scheduler.base import SchedulerFacts
from gateway.compute.staging import stage
from gateway.compute.target import Target
from gateway.db import jobs, moves, sweeps
from gateway.db.database import Database
from gateway.engine import retries, slots
from gateway.engine.arrays import Arrays, limit_of
from gateway.engine.cancel import stop_words
from gateway.engine.images import ImageDelivery
from gateway.engine.inputs import InputFiles
from gateway.engine.plan import plan_job
from gateway.engine.poll import Sight
from gateway.engine.prepare import Prepared, prepare
from gateway.engine.renew import RENEW_AFTER
from gateway.engine.sharing import shared_stores
from gateway.engine.submit import Submitted, Unit, batch_script, read_answers
from gateway.engine.timing import Timing
from gateway.engine.verdict import Ending
from gateway.engine.waiting import Waiting
from gateway.errors import GatewayError, SchedulerError, StagingFailed, TargetUnreachable
from gateway.model.states import State
from gateway.settings import Settings
from gateway.storage.stores.base import Store

log = logging.getLogger(__name__)

SUBMIT_SECONDS = 2.0
"""Further seconds that one command may take for each job it submits: some sites' qsub takes a second."""

Row = RowMapping
PREPARED_AT_ONCE = 8
"""Jobs whose stores are asked for credentials at the same time."""


@dataclass(frozen=True)
class _Failed:
    """How often an attempt could not be staged, and when it is tried again."""

    tries: int
    again_at: datetime


class Launcher:
    """Launches the jobs of one target in batches."""

    def __init__(
        self,
        target: Target,
        database: Database,
        stores: Mapping[str, Store],
        timing: Timing,
        inputs: InputFiles,
        images: ImageDelivery,
        settings: Settings | None = None,
    ) -> None:
        self.target = target
        self.database = database
        self.stores = stores
        self.timing = timing
        self.inputs = inputs
        self.images = images
        self.settings = settings or Settings()
        self.waiting = Waiting(target, database)
        self.arrays = Arrays(target.scheduler)
        self.in_flight: set[str] = set()
        """Submissions that are being sent now: their answers are not lost yet."""
        self._failures: dict[str, _Failed] = {}
        self._not_found: set[str] = set()
        """Submissions whose answer was lost, and that were looked for after the grace time in vain."""

    async def launch(self, rows: Sequence[Row], facts: SchedulerFacts) -> bool:
        """Take jobs one step further that wait for staging or submission; return whether anything was sent.

        At most one batch is staged, so that what is staged is also submitted.
        """
        self._forget(rows)
        waiting = [r for r in rows if r["cancel_requested_at"] is None]
        unstaged = [r for r in waiting if r["state"] in (State.ACCEPTED, State.STAGING) and r["a_staged_at"] is None]
        for wanted in (self.inputs, self.images):
            wanted.keep(self.target.name, {r["id"] for r in unstaged})
        fresh = [r for r in waiting if r["state"] == State.ACCEPTED]
        late = await self.database.read(lambda c: sweeps.held_back(c, fresh))
        if len(late) < len(fresh):
            late = await self.database.write(lambda c: self._begin(c, fresh, facts))
        sent = await self._stage_one_batch([r["id"] for r in unstaged if r["id"] not in late], facts)
        rows = await self.database.read(lambda c: jobs.live(c, self.target.name))
        staging = [r for r in rows if r["state"] == State.STAGING and r["cancel_requested_at"] is None]
        ready = [r for r in staging if r["a_staged_at"] and not r["hold"] and self._may_submit(r)]
        coming = [r for r in staging if r["a_staged_at"] is None and r["id"] not in self._failures]
        early = self.arrays.early(ready, {r["id"] for r in unstaged}, coming, limit_of(self.target.scheduler, facts))
        ready = [r for r in ready if r["id"] not in early]
        for batch in self.arrays.batches(ready, self.timing.batch, limit_of(self.target.scheduler, facts)):
            sent = await self._submit(batch, facts) or sent
        return sent

    def _forget(self, rows: Sequence[Row]) -> None:
        live = {r["id"] for r in rows}
        self._failures = {job_id: failed for job_id, failed in self._failures.items() if job_id in live}
        self._not_found &= {r["a_submission"] for r in rows}
        self.arrays.keep(live)

    def _waited(self, row: Row) -> bool:
        started = row["a_submit_started_at"]
        return bool((datetime.now(UTC) - started).total_seconds() >= self.timing.submit_grace)

    def _may_submit(self, row: Row) -> bool:
        """Say whether a submission may be sent: for the first time, or again because nothing was found of it."""
        return row["a_submit_started_at"] is None or row["a_submission"] in self._not_found

    async def give_up_cancelled(self, rows: Sequence[Row]) -> None:
        """End at once what was cancelled before anything was sent to the scheduler."""
        unsent = [
            r
            for r in rows
            if r["cancel_requested_at"] is not None
            and r["state"] in (State.ACCEPTED, State.STAGING)
            and r["a_submit_started_at"] is None
            and r["a_submission"] not in self.in_flight
        ]

        def cancel(connection: Any) -> None:
            for row in unsent:
                attempt = jobs.get_attempt(connection, row["id"], row["attempt"])
                if attempt is None or attempt["submit_started_at"] is None:
                    self._cancelled(connection, row, {"submission": None})

        if unsent:
            await self.database.write(cancel)

    @staticmethod
    def _cancelled(connection: Any, row: Row, evidence: Mapping[str, Any]) -> None:
        if jobs.state_of(connection, row["id"]) is State(row["state"]):
            jobs.change_state(
                connection,
                row["id"],
                State.CANCELLED,
                evidence=evidence,
                reason=row["reason"] or "cancelled_by_user",
                message=row["message"] if row["reason"] else None,
            )

    def _begin(self, connection: Any, rows: Sequence[Row], facts: SchedulerFacts) -> set[str]:
        """Store each attempt with its submission's name, before anything is sent.

        Returns the ids of those that have to wait for others of their sweep, or for a slot.
        """
        late = sweeps.held_back(connection, rows)
        if (there := self.target.scheduler.slots(facts)) is not None:
            on_time = [row for row in rows if row["id"] not in late]
            late |= slots.keep_back(connection, self.target.public_name, there, on_time)
        begun = [moves.Move(row["id"], {"message": None}) for row in rows if row["id"] not in late]
        moved = moves.move(connection, State.ACCEPTED, State.STAGING, begun, jobs.now())  # others were cancelled
        names = [(row["id"], row["attempt"], f"gw-{secrets.token_hex(6)}") for row in rows if row["id"] in moved]
        moves.insert_attempts(connection, names, jobs.now())
        return late

    async def _stage_one_batch(self, job_ids: Sequence[str], facts: SchedulerFacts) -> bool:
        """Stage the first batch of which a job is ready; others wait for inputs, or for their next try."""
        now = datetime.now(UTC)
        due = [job_id for job_id in job_ids if job_id not in self._failures or self._failures[job_id].again_at <= now]
        for start in range(0, len(due), self.timing.batch):
            chunk = due[start : start + self.timing.batch]
            rows = await self.database.read(partial(jobs.whole, job_ids=chunk))
            if await self._stage([r for r in rows if r["state"] == State.STAGING], facts):
                return True
        return False

    async def _stage(self, rows: Sequence[Row], facts: SchedulerFacts) -> bool:
        """Stage what is ready; return whether anything was sent. One that is bad never keeps others back."""
        turn = asyncio.Semaphore(PREPARED_AT_ONCE)

        async def one(row: Row) -> Prepared | None:
            async with turn:
                return await self._prepare(row, facts)

        found = await asyncio.gather(*(one(row) for row in rows), return_exceptions=True)
        prepared: list[tuple[Row, Prepared]] = []
        for row, item in zip(rows, found, strict=True):
            if isinstance(item, TargetUnreachable) or (
                isinstance(item, BaseException) and not isinstance(item, Exception)
            ):
                raise item
            if isinstance(item, GatewayError):
                await self._staging_failed(row, item, final=item.status != 503)
            elif isinstance(item, Exception):
                log.error("job %s: it could not be prepared", row["id"], exc_info=item)
                error = GatewayError(f"the job could not be prepared ({type(item).__name__})")
                await self._staging_failed(row, error, final=True)
            elif isinstance(item, Prepared):
                prepared.append((row, item))
        if not prepared:
            return False
        try:
            outcomes = await stage(self.target.transport, [item.staged for _, item in prepared])
        except TargetUnreachable:
            raise
        except GatewayError as error:  # a reason that all share: a full disk …
            for row, _ in prepared:
                await self._staging_failed(row, error, final=False)
            return True
        judged = list(zip(prepared, outcomes, strict=True))
        arrived = [(row, item) for (row, item), outcome in judged if outcome.status != "failed"]
        await self.database.write(lambda c: self._staged(c, arrived))
        for row, _ in arrived:
            self._failures.pop(row["id"], None)
            self.inputs.release(row["id"])
            self.images.release(row["id"])
        for (row, _), outcome in judged:
            if outcome.status == "failed":
                await self._staging_failed(row, GatewayError(outcome.message or "staging failed"), final=False)
        return True

    async def _prepare(self, row: Row, facts: SchedulerFacts) -> Prepared | None:
        """Make what staging sends; None while inputs or the image are on their way (the bell rings then)."""
        plan = plan_job(row, row["stores"])
        if unknown := [item.name for item in plan.stores if item.name not in self.stores]:
            raise StagingFailed(f"store {unknown[0]} is not configured any more")
        files = self.inputs.ready(row["id"], self.target.name, plan.specification.inputs, row["owner"])
        there = self.images.ready(row, self.target, plan.specification.image)
        if files is None or not there:
            return None
        shared = await shared_stores(self.database, self.settings, row["stores"], row["owner"])
        return await prepare(plan, row["a_submission"], self.target, facts, self.stores, files, shared)

    @staticmethod
    def _staged(connection: Any, arrived: Sequence[tuple[Row, Prepared]]) -> None:
        at, columns = jobs.now(), []
        for row, item in arrived:
            folders, renew_at = item.folders, at + RENEW_AFTER if "push" in item.transfers.values() else None
            found = {"staged_at": at, "control_folder": folders.control, "job_folder": folders.job}
            columns.append((row["id"], row["attempt"], {**found, "script": item.script, "renew_at": renew_at}))
        moves.set_attempts(connection, columns)
        for row, item in arrived:
            for store, how in item.transfers.items():
                jobs.set_store(connection, row["id"], store, transfer=how)

    async def _staging_failed(self, row: Row, error: GatewayError, *, final: bool) -> None:
        """Try again some times what may heal, saying why, then give up."""
        before = self._failures.pop(row["id"], None)
        tries = before.tries + 1 if before else 1
        log.warning("job %s: staging failed (%d): %s", row["id"], tries, error)
        if not final and tries <= len(self.timing.staging_delays):
            again_at = datetime.now(UTC) + timedelta(seconds=self.timing.staging_delays[tries - 1])
            self._failures[row["id"]] = _Failed(tries, again_at)
            await self.database.write(lambda c: jobs.explain(c, row["id"], State.STAGING, str(error)))
            return
        self.inputs.release(row["id"])
        self.images.release(row["id"])
        await self.database.write(lambda c: self._refuse(c, row, "staging_failed", str(error)))

    def _refuse(self, connection: Any, row: Row, reason: str, message: str) -> None:
        if jobs.state_of(connection, row["id"]) is not State.STAGING:  # it may have been cancelled meanwhile
            return
        if retries.begin_unsent(connection, row, Ending(State.FAILED, reason, message, None)):
            again_at = datetime.now(UTC) + retries.pause(row["attempt"], self.timing)
            self._failures[row["id"]] = _Failed(0, again_at)
        else:
            jobs.change_state(connection, row["id"], State.FAILED, reason=reason, message=message)

    async def _submit(self, job_ids: Sequence[str], facts: SchedulerFacts) -> bool:
        """Submit a batch; return whether there was any. It is written down first: a lost answer is known as such."""
        at = datetime.now(UTC)

        def started(connection: Any) -> tuple[list[Row], list[Unit]]:
            allowed = self.waiting.may_be_sent(connection, sorted(jobs.may_be_sent(connection, job_ids)))
            rows = [row for row in jobs.whole(connection, job_ids) if row["id"] in allowed]
            if (there := self.target.scheduler.slots(facts)) is not None:
                admitted = slots.may_start(connection, self.target.public_name, there, rows)
                rows = [row for row in rows if row["id"] in admitted]
            limit = limit_of(self.target.scheduler, facts)
            return rows, self.arrays.form(connection, rows, allowed, limit, at)

        names = set(await self.database.read(lambda c: [r["a_submission"] for r in jobs.whole(c, job_ids)]))
        self.in_flight |= names
        try:
            rows, units = await self.database.write(started)
            for start in range(0, len(units), self.timing.batch):
                await self._send(rows, units[start : start + self.timing.batch], facts)
            return bool(rows)
        finally:
            self.in_flight -= names
            self._not_found -= names

    async def _send(self, rows: Sequence[Row], units: Sequence[Unit], facts: SchedulerFacts) -> None:
        script = batch_script(self.target.scheduler, facts, units)
        timeout = self.timing.submit_timeout + SUBMIT_SECONDS * len(units)
        result = await self.target.transport.run(script.text, timeout=timeout)
        answers = read_answers(self.target.scheduler, facts, units, script.parse(result))
        rows = [row for row in rows if row["a_submission"] in answers]
        self.arrays.alone |= {row["id"] for row in rows if answers[row["a_submission"]].alone}

        def record(connection: Any) -> None:
            taken = {row["id"]: answers[row["a_submission"]].scheduler_id for row in rows}
            self._queued(connection, rows, taken)
            for row in rows:
                if taken[row["id"]] is None:
                    self._submitted(connection, row, answers[row["a_submission"]])

        await self.database.write(record)
        for row in rows:
            if answers[row["a_submission"]].gone:
                await self._staging_failed(row, GatewayError("the control folder is gone again"), final=False)

    def _submitted(self, connection: Any, row: Row, answer: Submitted) -> None:
        if answer.refused is not None:
            self._refuse(connection, row, "scheduler_rejected", answer.refused)
        elif answer.gone:  # stage it anew: whatever was sent before cannot run without the folder
            jobs.set_attempt(connection, row["id"], row["attempt"], staged_at=None, submit_started_at=None)
        elif answer.alone:
            log.warning("job %s: it goes without an array: %s", row["id"], answer.problem or "others were not ready")
            jobs.set_attempt(connection, row["id"], row["attempt"], submit_started_at=None)
        else:
            log.warning("job %s: the submission's answer says nothing: %s", row["id"], answer.problem)
            if answer.problem:
                jobs.explain(connection, row["id"], State.STAGING, answer.problem)

    @staticmethod
    def _queued(connection: Any, rows: Sequence[Row], ids: Mapping[str, str | None]) -> None:
        """Write down which scheduler ids were given; None is none."""
        at = jobs.now()
        given = [(row, scheduler_id) for row in rows if (scheduler_id := ids[row["id"]]) is not None]
        queued = [
            moves.Move(
                row["id"],
                {"scheduler_id": scheduler_id, "queued_at": row["queued_at"] or at, "message": None},
                {"scheduler_id": scheduler_id},
                {"submission": row["a_submission"], "scheduler_id": scheduler_id},
            )
            for row, scheduler_id in given
        ]
        moved = moves.move(connection, State.STAGING, State.QUEUED, queued, at)
        columns = [
            (row["id"], row["attempt"], {"scheduler_id": scheduler_id, "submitted_at": at})
            for row, scheduler_id in given
            if row["id"] in moved
        ]
        moves.set_attempts(connection, columns)

    async def adopt(self, rows: Sequence[Row], sight: Sight, facts: SchedulerFacts) -> None:
        """Find submissions whose answer was lost: by their claim, by the kept answer, by name at the scheduler.

        What is found nowhere once the grace time is over may be sent again, or is cancelled where that was asked.
        """
        if not rows:
            return
        full = await self.database.read(lambda c: jobs.whole(c, [row["id"] for row in rows]))
        full = [row for row in full if row["state"] == State.STAGING and row["a_submission"] not in self.in_flight]
        found = {row["id"]: self._id_of(row, sight, facts) for row in full}
        unseen = [row for row in full if found[row["id"]] is None and sight.asked and self._waited(row)]
        self._not_found |= {row["a_submission"] for row in unseen if row["cancel_requested_at"] is None}
        given_up = [row for row in unseen if row["cancel_requested_at"] is not None]
        if given_up:  # should it turn up all the same, its script finds the word before it does anything
            result = await self.target.transport.run(stop_words(given_up), timeout=self.timing.poll_timeout)
            if result.exit_status:  # a full disk, say: the word is not there, so nothing is promised yet
                log.warning("target %s: jobs could not be told to stop: %s", self.target.name, result.text()[1].strip())
                given_up = []

        def write(connection: Any) -> None:
            self._queued(connection, full, found)
            for row in given_up:
                self._cancelled(connection, row, {"submission": row["a_submission"], "found": None})

        if given_up or any(found.values()):
            await self.database.write(write)

    def _id_of(self, row: Row, sight: Sight, facts: SchedulerFacts) -> str | None:
        record, name = sight.records.get(row["a_control_folder"]), row["a_submission"]
        if record is not None and record.claim is not None:
            return record.claim.scheduler_id
        name = row["a_array"] or name
        if kept := sight.kept.get(name, "").strip():
            try:
                submission = self.arrays.submission_for(row)
                return self.arrays.task_of(row, self.target.scheduler.submit(submission, facts).parse(kept, "", 0))
            except SchedulerError as error:
                log.warning("job %s: the kept answer is of no use: %s", row["id"], error)
        ids = sight.found.get(name)
        return self.arrays.task_of(row, ids[0]) if ids else None
