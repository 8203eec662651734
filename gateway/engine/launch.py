"""From accepted to queued: prepare, stage, submit; and what to do when an answer was lost."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping

from gateway.compute.scheduler.base import SchedulerFacts
from gateway.compute.target import Target
from gateway.db import jobs, moves, sweeps
from gateway.db.database import Database
from gateway.engine import slots, steps
from gateway.engine.arrays import Arrays, limit_of
from gateway.engine.cancel import stop_words
from gateway.engine.images import ImageDelivery
from gateway.engine.inputs import InputFiles
from gateway.engine.poll import Sight
from gateway.engine.refusals import confirm
from gateway.engine.stager import Stager
from gateway.engine.steps import Step
from gateway.engine.submit import Submitted, Unit, batch_script, read_answers
from gateway.engine.timing import Timing
from gateway.engine.waiting import Waiting
from gateway.errors import GatewayError, SchedulerError, TargetError
from gateway.model.states import State
from gateway.settings import Settings
from gateway.storage.stores.base import Store

log = logging.getLogger(__name__)

SUBMIT_SECONDS = 2.0
"""Further seconds that one command may take for each job it submits: some sites' qsub takes a second."""

Row = RowMapping
TOGETHER = 20
"""So many submissions, and twice as many, go by one command; more by two at the same time."""
AT_ONCE = 4000
"""Jobs that are staged before the target's other work has its turn."""


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
        self.stager = Stager(target, database, stores, timing, inputs, images, self.settings)
        self._not_found: set[str] = set()
        """Submissions whose answer was lost, and that were looked for after the grace time in vain."""

    async def launch(self, rows: Sequence[Row], facts: SchedulerFacts) -> bool:
        """Take jobs one step further that wait for staging or submission; return whether anything was sent.

        What is staged is submitted while the next batch is being staged.
        """
        self._forget(rows)
        waiting = [r for r in rows if r["cancel_requested_at"] is None]
        unstaged = [r for r in waiting if r["state"] in (State.ACCEPTED, State.STAGING) and r["a_staged_at"] is None]
        for wanted in (self.inputs, self.images):
            wanted.keep(self.target.name, {r["id"] for r in unstaged})
        await self.images.sources.look(self.target, unstaged)
        fresh = [r for r in waiting if r["state"] == State.ACCEPTED]
        late = await self.database.read(lambda c: sweeps.held_back(c, fresh))
        if len(late) < len(fresh):
            late = await self.database.write(lambda c: self._begin(c, fresh, facts))
            steps.reached(Step.BEGUN)
        staging = [r for r in waiting if r["state"] == State.STAGING]
        ready = [r for r in staging if r["a_staged_at"] and not r["hold"] and self._may_submit(r)]
        return await self._stage_and_submit([r for r in unstaged if r["id"] not in late], ready, facts)

    async def _stage_and_submit(self, unstaged: Sequence[Row], ready: list[Row], facts: SchedulerFacts) -> bool:
        """Stage batch after batch, each while the one before is submitted; `ready` are jobs that were staged before."""
        due = self.stager.due(unstaged)
        chunks = _chunks(due[:AT_ONCE], self.timing.batch)
        if len(due) <= AT_ONCE:
            chunks.append([])  # what is left then waits for nobody
        coming = {r["id"]: r for r in unstaged}
        limit = limit_of(self.target.scheduler, facts)
        sent, sending = False, asyncio.create_task(self._submit_all([], facts))
        try:
            for chunk in chunks:
                staged = await self.stager.stage([r["id"] for r in chunk], facts) if chunk else None
                sent = await sending or staged is not None or sent
                done = staged or set()
                ready += [r for r in chunk if r["id"] in done and not r["hold"]]
                coming = {i: r for i, r in coming.items() if i not in done and i not in self.stager.failures}
                early = self.arrays.early(ready, done, coming.values(), limit)
                batches = self.arrays.batches([r for r in ready if r["id"] not in early], self.timing.batch, limit)
                ready = [r for r in ready if r["id"] in early]
                sending = asyncio.create_task(self._submit_all(batches, facts))
            return await sending or sent
        except asyncio.CancelledError:
            sending.cancel()
            raise
        finally:
            await asyncio.gather(sending, return_exceptions=True)  # an answer that comes is written down

    async def _submit_all(self, batches: Sequence[Sequence[str]], facts: SchedulerFacts) -> bool:
        sent = [await self._submit(batch, facts) for batch in batches]
        return any(sent)

    def _forget(self, rows: Sequence[Row]) -> None:
        live = {r["id"] for r in rows}
        self.stager.forget(live)
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
        steps.reached(Step.BEGINNING)
        return late

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
            units = self.arrays.form(connection, rows, allowed, limit, at)
            steps.reached(Step.SUBMITTING)
            return rows, units

        names = await self.database.read(lambda c: moves.submissions(c, job_ids))
        self.in_flight |= names
        try:
            rows, units = await self.database.write(started)
            steps.reached(Step.SUBMIT_NOTED)
            for start in range(0, len(units), self.timing.batch):
                await self._send_halves(rows, units[start : start + self.timing.batch], facts)
            return bool(rows)
        finally:
            self.in_flight -= names
            self._not_found -= names

    async def _send_halves(self, rows: Sequence[Row], units: Sequence[Unit], facts: SchedulerFacts) -> None:
        """Send submissions: many of them by two commands, so that the scheduler need not wait for its own commands."""
        step = len(units) if len(units) <= 2 * TOGETHER else -(-len(units) // 2)
        halves = [units[start : start + step] for start in range(0, len(units), step)]
        done = await asyncio.gather(*(self._send(rows, half, facts) for half in halves), return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException):
                raise error

    async def _send(self, rows: Sequence[Row], units: Sequence[Unit], facts: SchedulerFacts) -> None:
        script = batch_script(self.target.scheduler, facts, units)
        timeout = self.timing.submit_timeout + SUBMIT_SECONDS * len(units)
        try:
            result = await self.target.transport.run(script.text, timeout=timeout)
        except TargetError as error:
            await self._explain_loss(rows, units, error)
            raise
        steps.reached(Step.SUBMIT_ANSWERED)
        answers = read_answers(self.target.scheduler, facts, units, script.parse(result))
        answers = await confirm(self.target, units, answers, facts, self.timing.poll_timeout)
        rows = [row for row in rows if row["a_submission"] in answers]
        self.arrays.alone |= {row["id"] for row in rows if answers[row["a_submission"]].alone}

        def record(connection: Any) -> None:
            taken = {row["id"]: answers[row["a_submission"]].scheduler_id for row in rows}
            self._queued(connection, rows, taken)
            for row in rows:
                if taken[row["id"]] is None:
                    self._submitted(connection, row, answers[row["a_submission"]])
            steps.reached(Step.QUEUING)

        await self.database.write(record)
        steps.reached(Step.SUBMITTED)
        for row in rows:
            if answers[row["a_submission"]].gone:
                await self.stager.failed(row, GatewayError("the control folder is gone again"), final=False)

    async def _explain_loss(self, rows: Sequence[Row], units: Sequence[Unit], error: TargetError) -> None:
        """Tell why jobs stay in ``staging``: the answer about them did not come, so they are looked for."""
        names = {submission.name for unit in units for submission in unit.submissions}
        words = f"the scheduler's answer to the submission was lost ({error.message}): it is asked for the job by name"

        def note(connection: Any) -> None:
            for row in rows:
                if row["a_submission"] in names:
                    jobs.explain(connection, row["id"], State.STAGING, words)

        await self.database.write(note)

    def _submitted(self, connection: Any, row: Row, answer: Submitted) -> None:
        if answer.refused is not None:
            self.stager.refuse(connection, row, "scheduler_rejected", answer.refused)
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
            steps.reached(Step.ADOPTING)

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


def _chunks(rows: Sequence[Row], size: int) -> list[Sequence[Row]]:
    """Return `rows` in pieces; the first one is small where there are several, so that submitting begins soon. Pure."""
    first = size if len(rows) <= size else max(1, size // 4)
    return [rows[:first], *(rows[start : start + size] for start in range(first, len(rows), size))] if rows else []
