"""Writes what a look at a target showed, each job by itself: one that is bad never hides the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping

from gateway.compute.records import RecordUpdate
from gateway.compute.scheduler.base import Phase, SchedulerJob
from gateway.db import behind as behind_table
from gateway.db import jobs, waits
from gateway.db.database import Database, DatabaseUnavailable
from gateway.engine import behind, progress, pull_rates, steps, write
from gateway.engine.plan import plan_job
from gateway.engine.poll import Sight
from gateway.engine.steps import Step
from gateway.engine.timing import Timing
from gateway.engine.verdict import Decision, Ending, Known, Seen, decide
from gateway.engine.waiting import Verdict, judge, sentence
from gateway.model.states import Reason, State

log = logging.getLogger(__name__)

Row = RowMapping

OWN_WORK = frozenset({State.ACCEPTED, State.STAGING, State.FINALIZING})
"""States that tell what the gateway itself does: after ``unknown`` it goes on there, whatever the scheduler says."""


def known_of(row: Row, since: datetime) -> Known:
    """Return what the database says of a submitted job.

    Parameters
    ----------
    since
        From when on the target has answered without a break: waiting counts only while somebody looked.
    """
    missing = row["a_missing_since"]
    return Known(
        job_id=row["id"],
        attempt=row["attempt"],
        state=State(row["state"]),
        last_state=State(row["last_state"]) if row["last_state"] else None,
        submission=row["a_array"] or row["a_submission"],
        scheduler_id=row["a_scheduler_id"],
        submitted=row["a_submitted_at"] is not None,
        claimed=row["a_claimed_at"] is not None,
        cancel_requested=row["cancel_requested_at"] is not None,
        missing_since=None if missing is None else max(missing, since),
        dependency_failed=row["message"] if row["reason"] == Reason.DEPENDENCY_FAILED else None,
        ran=row["a_running_at"] is not None,
    )


def rests(row: Row) -> bool:
    """Say whether the gateway's own work at a job was interrupted by ``unknown``."""
    return row["state"] == State.UNKNOWN and row["last_state"] in OWN_WORK


LEFT_BEHIND = "the job was lost: what it left on its target is copied once nobody waits for its records any more"


def ends_unseen(row: Row, decision: Decision) -> bool:
    """Say whether a decision ends a job of which no run was ever seen."""
    over = decision.attempt.get("final")
    return over is not None and over["record"] is None and not jobs.may_have_run(row) and not row["reason"]


def after_others(connection: Connection, row: Row, decision: Decision) -> Decision:
    """Change a decision about a job that its scheduler ended because another one did not succeed.

    Schedulers do that without a word. As long as it is not known how the other one ended, nothing is decided.
    """
    found = [(wait, judge(wait, None)) for wait in waits.of_jobs(connection, [row["id"]])]
    verdicts = {verdict for _, verdict in found}
    if Verdict.FAILED in verdicts:
        ending = Ending(State.CANCELLED, str(Reason.DEPENDENCY_FAILED), sentence(found), None)
        attempt = {name: value for name, value in decision.attempt.items() if name != "running_at"}
        return replace(decision, attempt={**attempt, "final": {"ending": ending.as_json(), "record": None}})
    return (
        Decision(State(row["state"])) if Verdict.WAIT in verdicts and row["cancel_requested_at"] is None else decision
    )


@dataclass(frozen=True)
class Quiet:
    """What was seen of a job about which there was nothing to write, and won't be as long as the same is seen."""

    row: Row
    record: RecordUpdate | None
    scheduler: SchedulerJob
    whole: bool

    def is_as(self, row: Row, record: RecordUpdate | None, scheduler: SchedulerJob | None, whole: bool) -> bool:
        """Say whether the same is seen again, of a row that was not changed."""
        same = self.row is row and self.record is record and self.whole is whole
        return same and (self.scheduler is scheduler or self.scheduler == scheduler)


def stays(row: Row, decision: Decision, seen: Seen) -> bool:
    """Say whether `decision` writes nothing, and would not at any later time. Pure.

    Nothing but `missing_since`, and a job that its scheduler does not show as live, makes time matter.
    """
    if decision.job or decision.state != row["state"] or row["a_missing_since"] is not None:
        return False
    if seen.scheduler is None or seen.scheduler.phase is Phase.ENDED:
        return False
    news = seen.record
    if news is not None and (news.status_lines or news.sync_lines or news.offsets or news.known or news.sync):
        return False
    return all(row[f"a_{name}"] == value for name, value in decision.attempt.items())


class Observer:
    """Writes the sights of one target."""

    def __init__(self, database: Database, timing: Timing) -> None:
        self.database = database
        self.timing = timing
        self._quiet: dict[str, Quiet] = {}

    def keep(self, rows: Sequence[Row]) -> None:
        """Forget what was seen of other jobs than those of `rows`, where that is much."""
        if len(self._quiet) > 2 * len(rows):
            live = {row["id"] for row in rows}
            self._quiet = {job_id: quiet for job_id, quiet in self._quiet.items() if job_id in live}

    async def take(self, rows: Sequence[Row], sight: Sight, at: datetime, since: datetime) -> None:
        """Write a tick's sight in one transaction; should one job spoil it, each in a transaction of its own."""
        if not rows:
            return
        try:
            await self.database.write(lambda c: self._take_all(c, rows, sight, at, since))
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("what was seen of %d jobs could not be written together", len(rows))
            for row in rows:
                await self._take_alone(row, sight, at, since)

    async def _take_alone(self, row: Row, sight: Sight, at: datetime, since: datetime) -> None:
        for seen in (sight, _without_lines(sight, row)):
            try:
                await self.database.write(lambda c, seen=seen: self._take_all(c, [row], seen, at, since))  # type: ignore[misc]
            except DatabaseUnavailable:
                raise
            except Exception:
                log.exception("job %s: what was seen could not be written", row["id"])
            else:
                return

    def _take_all(
        self, connection: Connection, rows: Sequence[Row], sight: Sight, at: datetime, since: datetime
    ) -> None:
        seen_ids, said = [], []
        for row in rows:
            job_id = row["id"]
            record = sight.records.get(row["a_control_folder"])
            shown = sight.jobs.get(row["a_scheduler_id"] or "")
            quiet = self._quiet.get(job_id)
            if quiet is not None and quiet.is_as(row, record, shown, sight.whole):
                seen_ids.append(job_id)
                continue
            if rests(row):
                write.apply(connection, row, Decision(State(row["last_state"]), evidence={"answered": True}))
                continue
            seen = Seen(at, record, shown, sight.whole)
            decision = decide(known_of(row, since), seen, self.timing)
            if ends_unseen(row, decision):
                decision = after_others(connection, row, decision)
            if record is not None:
                take_records(connection, row, record)
                said.append(behind.said_by_node(row, record))
            if shown is not None and stays(row, decision, seen):
                self._quiet[job_id] = Quiet(row, record, shown, sight.whole)
            changed = write.apply(connection, row, decision)
            if changed and decision.state is State.LOST and jobs.may_have_run(row):
                # Once nobody waits for its records any more, what it left is copied, and stays partial.
                later = at + timedelta(seconds=self.timing.lost_watch)
                behind_table.schedule(connection, row["id"], later, problem=LEFT_BEHIND)
            if sight.whole or seen.scheduler is not None:
                seen_ids.append(row["id"])
        behind.note(connection, [one for one in said if one is not None], at)
        jobs.observe(connection, seen_ids, at)
        steps.reached(Step.OBSERVING)


def _without_lines(sight: Sight, row: Row) -> Sight:
    """Return a sight of one job whose progress is passed over: its verdict counts all the same."""
    record = sight.records.get(row["a_control_folder"])
    if record is None:
        return sight
    return replace(sight, records={row["a_control_folder"]: replace(record, status_lines=[], sync_lines=[], sync=None)})


def take_records(connection: Connection, row: Row, record: RecordUpdate) -> None:
    """Write progress and outputs that the node reported since the last tick."""
    if record.claim is not None and row["a_token"] not in (None, record.claim.token):
        # A scheduler's rerun: its records begin anew, and are read from their start the next time.
        jobs.set_attempt(connection, row["id"], row["attempt"], offsets={})
        jobs.set_columns(connection, row["id"], progress=None)
        behind_table.forget(connection, row["id"])
        return
    before = row["a_offsets"] or {}
    offsets = {**before, **record.offsets}
    if record.known is not None:
        offsets["claim"] = record.known.as_json()
    pull_rates.note(connection, row, record)
    write.note_progress(connection, row, record)
    progress.note(connection, row, record)
    if record.sync_lines:
        (whole,) = jobs.whole(connection, [row["id"]])
        offsets["transfer"] = write.note_copied(connection, row, plan_job(whole, row["stores"]), record)
    if offsets != before:
        jobs.set_attempt(connection, row["id"], row["attempt"], offsets=offsets)
