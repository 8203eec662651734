"""Jobs that may not start yet: held by their owners, or waiting for other jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.compute.target import Target
from gateway.db import events, jobs, waits
from gateway.db.database import Database
from gateway.db.dependencies import AFTER_SUCCESS
from gateway.model.specification import JobSpecification
from gateway.model.states import ENDED, Reason, State

Row = RowMapping
Wait = RowMapping | Mapping[str, Any]
"""A row of `waits.of_lane`, or one like it."""

HELD = "held by its owner: it starts once it is released"
_UNBEGUN = frozenset({State.ACCEPTED, State.STAGING, State.QUEUED, State.HELD})
_IN_QUEUE = frozenset({State.QUEUED, State.HELD, State.RUNNING})


class Verdict(StrEnum):
    """What one job that is waited for means for the one that waits."""

    OVER = "over"
    SCHEDULER = "scheduler"
    WAIT = "wait"
    FAILED = "failed"


@dataclass(frozen=True)
class After:
    """Scheduler ids that a submission is told to wait for."""

    success: tuple[str, ...] = ()
    end: tuple[str, ...] = ()


def judge(wait: Wait, lane: str | None) -> Verdict:
    """Say whether `wait`, a row of `waits.of_lane`, is over. Pure.

    Parameters
    ----------
    lane
        Where the waiting job's scheduler can wait by itself; None where it cannot, or must not.
    """
    wants_success = wait["kind"] == AFTER_SUCCESS
    if wait["state"] is None:  # deleted: it had ended, and nobody can say how
        return Verdict.FAILED if wants_success else Verdict.OVER
    state = State(wait["state"])
    if state in ENDED:
        return Verdict.OVER if state is State.SUCCEEDED or not wants_success else Verdict.FAILED
    last_try = wait["attempt"] >= (wait["attempts"] or 1)
    if state is State.FINALIZING and wait["final"] and wants_success and last_try:
        ending = State(wait["final"]["ending"]["state"])
        return Verdict.WAIT if ending is State.SUCCEEDED else Verdict.FAILED
    known = state in _IN_QUEUE and wait["scheduler_id"] is not None and (wait["attempts"] or 1) == 1
    return Verdict.SCHEDULER if known and lane is not None and wait["lane"] == lane else Verdict.WAIT


def sentence(found: Sequence[tuple[Wait, Verdict]]) -> str:
    """Say what a job waits for, or why it never starts. Pure."""
    failed = [wait for wait, verdict in found if verdict is Verdict.FAILED]
    if failed:
        wait = failed[0]
        if wait["state"] is None:
            return f"it was to start after the success of job {wait['on_job']}, which has been deleted"
        return f"it was to start after the success of {wait['name']!a} ({wait['on_job']}), which did not succeed"
    open_ = [wait for wait, verdict in found if verdict is not Verdict.OVER]
    words = [
        f"the {'success' if wait['kind'] == AFTER_SUCCESS else 'end'} of {wait['name']!a} ({wait['on_job']})"
        for wait in open_[:3]
    ]
    more = f" and {len(open_) - 3} more" if len(open_) > 3 else ""
    return f"waits for {', '.join(words)}{more}"


class Waiting:
    """Keeps jobs of one target from starting too early, and ends those that never can."""

    def __init__(self, target: Target, database: Database) -> None:
        self.target = target
        self.database = database

    async def look(self, rows: Sequence[Row]) -> set[str]:
        """Return the ids of the jobs that must not be staged or submitted now; end those that never can start."""
        unbegun = {row["id"]: row for row in rows if row["state"] in _UNBEGUN and row["cancel_requested_at"] is None}
        if not unbegun:
            return set()
        found = self._judged(await self.database.read(lambda c: waits.of_lane(c, self.target.name)))
        found = {job_id: judged for job_id, judged in found.items() if job_id in unbegun}
        keeps = await self._keeps_from_scheduler(found)
        blocked = {job_id for job_id, row in unbegun.items() if row["hold"]}
        messages = {job_id: HELD for job_id in blocked if unbegun[job_id]["state"] in (State.ACCEPTED, State.STAGING)}
        failed: dict[str, str] = {}
        for job_id, judged in found.items():
            verdicts = {verdict for _, verdict in judged}
            if Verdict.FAILED in verdicts:
                failed[job_id] = sentence(judged)
            elif unbegun[job_id]["state"] == State.ACCEPTED and (Verdict.WAIT in verdicts or job_id in keeps):
                blocked.add(job_id)
                messages[job_id] = sentence(judged)
        news = {job_id: text for job_id, text in messages.items() if unbegun[job_id]["message"] != text}
        if failed or news:
            await self.database.write(lambda c: self._write(c, unbegun, failed, news))
        return blocked | set(failed)

    def _judged(self, found: Iterable[Row]) -> dict[str, list[tuple[Row, Verdict]]]:
        scheduler = self.target.scheduler
        judged: dict[str, list[tuple[Row, Verdict]]] = {}
        for wait in found:
            lane = self.target.name if scheduler.can_wait_for(wait["scheduler_id"] or "") else None
            judged.setdefault(wait["job_id"], []).append((wait, judge(wait, lane)))
        return judged

    async def _keeps_from_scheduler(self, found: Mapping[str, Sequence[tuple[Row, Verdict]]]) -> set[str]:
        """Return the jobs that need outputs of one they wait for, so that the gateway itself must wait."""
        asked = [job_id for job_id, judged in found.items() if any(v is Verdict.SCHEDULER for _, v in judged)]
        if not asked:
            return set()
        rows = await self.database.read(lambda c: jobs.whole(c, asked))
        return {row["id"] for row in rows if needs_outputs(row["spec"], {w["on_job"] for w, _ in found[row["id"]]})}

    @staticmethod
    def _write(
        connection: Connection, rows: Mapping[str, Row], failed: Mapping[str, str], messages: Mapping[str, str]
    ) -> None:
        for job_id, text in messages.items():
            jobs.explain(connection, job_id, State(rows[job_id]["state"]), text)
        for job_id, text in failed.items():
            row = rows[job_id]
            if jobs.state_of(connection, job_id) is not State(row["state"]):
                continue
            attempt = jobs.get_attempt(connection, job_id, row["attempt"])
            reason = str(Reason.DEPENDENCY_FAILED)
            if row["state"] in (State.ACCEPTED, State.STAGING) and (
                attempt is None or attempt["submit_started_at"] is None
            ):
                jobs.change_state(connection, job_id, State.CANCELLED, reason=reason, message=text)
            elif attempt is not None and attempt["claimed_at"] is None:
                at = jobs.now()
                jobs.set_columns(connection, job_id, cancel_requested_at=at, reason=reason, message=text)
                data = {"by": None, "reason": reason, "message": text}
                events.append(connection, job_id, row["owner"], "cancel_requested", data, at=at)

    def may_be_sent(self, connection: Connection, job_ids: Sequence[str]) -> dict[str, After]:
        """Return those of `job_ids` that may be submitted now, with what their scheduler is told to wait for.

        It asks again in the transaction that marks them as sent: what they wait for may have ended meanwhile.
        """
        found = self._judged(waits.of_jobs(connection, job_ids))
        allowed = {}
        for job_id in job_ids:
            judged = found.get(job_id, [])
            if any(verdict in (Verdict.WAIT, Verdict.FAILED) for _, verdict in judged):
                continue
            told = [wait for wait, verdict in judged if verdict is Verdict.SCHEDULER]
            allowed[job_id] = After(
                tuple(wait["scheduler_id"] for wait in told if wait["kind"] == AFTER_SUCCESS),
                tuple(wait["scheduler_id"] for wait in told if wait["kind"] != AFTER_SUCCESS),
            )
        return allowed


def needs_outputs(specification: Mapping[str, Any], on_jobs: Iterable[str]) -> bool:
    """Say whether a specification has outputs of one of `on_jobs` as inputs. Pure."""
    wanted = set(on_jobs)
    return any(item.job in wanted for item in JobSpecification.model_validate(specification).inputs)
