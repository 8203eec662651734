"""From what was seen to what is true. Pure: no clock, no I/O.

Evidence, strongest first: the attempt's own final record, the scheduler's terminal record, its live record, nothing.
A missing answer is never an end, and nothing but exit code 0 of the claimed run is a success.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gateway.compute.records import RecordUpdate
from gateway.compute.scheduler.base import Phase, SchedulerJob
from gateway.engine.timing import Timing
from gateway.model.records import FinalRecord
from gateway.model.states import State

RERUN_GRACES = 3
"""Grace times of a record that a run which was told to end may go on in its scheduler's eyes: it may run again."""


@dataclass(frozen=True)
class Known:
    """What the database says of a live job and its attempt when a tick's answer arrives."""

    job_id: str
    attempt: int
    state: State
    last_state: State | None
    submission: str
    scheduler_id: str | None
    submitted: bool
    claimed: bool
    cancel_requested: bool
    missing_since: datetime | None
    dependency_failed: str | None = None
    """Why it was asked to end by the gateway itself: something that it was to start after did not succeed."""
    ran: bool = False
    """Its scheduler showed a run."""

    @property
    def effective(self) -> State:
        """The state, or the one before it became unknown."""
        return (self.last_state or State.QUEUED) if self.state is State.UNKNOWN else self.state


@dataclass(frozen=True)
class Seen:
    """What one tick saw of a job. `asked` is False where the scheduler's answer could not be used."""

    at: datetime
    record: RecordUpdate | None
    scheduler: SchedulerJob | None
    asked: bool


@dataclass(frozen=True)
class Decision:
    """What follows from a tick: the state to be in, and columns to write with it.

    `final` is set when the attempt is over: how, as `Ending` says.
    """

    state: State
    attempt: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, as it will be shown once its outputs are settled."""

    state: State
    reason: str | None
    message: str | None
    exit_code: int | None

    def as_json(self) -> dict[str, Any]:
        """Return what is kept with the attempt."""
        return {
            "state": str(self.state),
            "reason": self.reason,
            "message": self.message,
            "exit_code": self.exit_code,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Ending:
        """Read what `as_json` wrote."""
        return cls(State(value["state"]), value["reason"], value["message"], value["exit_code"])


def is_ours(shown: SchedulerJob, known: Known) -> bool:
    """Say whether the scheduler's job is the one that was submitted: schedulers begin their numbers anew at times.

    A run that has the claim may be one of an array that was submitted before, by another name.
    """
    if not shown.name or shown.name == known.submission:
        return True
    return known.claimed and shown.name.startswith("gw-")


def final_counts(record: RecordUpdate, known: Known) -> FinalRecord | None:
    """Return the final record if it is the one of the run that holds the claim, else None."""
    if record.final is None or record.claim is None:
        return None
    final = record.final
    same_run = final.token == record.claim.token and final.scheduler_id == record.claim.scheduler_id
    same_attempt = final.job == known.job_id and final.attempt == known.attempt
    return final if same_run and same_attempt else None


def ending_of_record(final: FinalRecord, cancel_requested: bool) -> Ending:
    """Say how an attempt ended by its own final record."""
    if final.outcome == "ended" and final.exit_code == 0 and final.reason is None:
        return Ending(State.SUCCEEDED, None, None, 0)
    reason = final.reason or ("exit_code" if final.exit_code is not None else "node_failed")
    if reason == "cancelled_by_user" or (cancel_requested and reason == "terminated"):
        return Ending(State.CANCELLED, "cancelled_by_user", final.message, final.exit_code)
    return Ending(State.FAILED, reason, final.message or _sentence(reason, final.exit_code), final.exit_code)


def _sentence(reason: str, exit_code: int | None) -> str | None:
    return {
        "exit_code": f"The payload ended with exit code {exit_code}.",
        "signalled": f"The payload was ended by signal {(exit_code or 128) - 128}.",
        "walltime": "The payload was still running at the end of its walltime.",
        "terminated": "The scheduler or the machine ended the job.",
        "out_of_memory": "The payload needed more memory than it had.",
    }.get(reason)


def ending_without_record(job: SchedulerJob | None, known: Known) -> Ending:
    """Say how an attempt ended that left no final record. Never a success."""
    if known.dependency_failed is not None:
        return Ending(State.CANCELLED, "dependency_failed", known.dependency_failed, None)
    if known.cancel_requested:
        return Ending(State.CANCELLED, "cancelled_by_user", None, None)
    if job is not None and job.reason == "dependency_failed":
        words = "The scheduler ended it: something that it was to start after did not succeed."
        return Ending(State.CANCELLED, "dependency_failed", words, None)
    if job is None:
        return Ending(State.FAILED, "vanished", "The job ended without a final record.", None)
    words = f" ({job.comment})" if job.comment else ""
    if job.reason:
        said = _sentence(job.reason, job.exit_status) or "The scheduler ended the job."
        return Ending(State.FAILED, job.reason, f"{said} It left no final record.{words}", None)
    status = "" if job.exit_status is None else f" with status {job.exit_status}"
    message = f"The scheduler says that the job ended{status}, but it left no final record{words}."
    return Ending(State.FAILED, "node_failed", message, None)


def decide(known: Known, seen: Seen, timing: Timing) -> Decision:
    """Return what a tick's sight of one submitted job means."""
    attempt: dict[str, Any] = {}
    job: dict[str, Any] = {}
    record = seen.record
    if record is not None and record.claim is not None:
        if not known.claimed:
            attempt["claimed_at"] = seen.at
            job["started_at"] = seen.at
        attempt["token"] = record.claim.token
        if record.claim.scheduler_id != known.scheduler_id:
            attempt["scheduler_id"] = job["scheduler_id"] = record.claim.scheduler_id
        final = final_counts(record, known)
        if final is not None and (again := _runs_again(final, known, seen, timing)) is not None:
            return replace(again, attempt={**attempt, **again.attempt}, job=job)
        if final is not None:
            ending = ending_of_record(final, known.cancel_requested)
            if known.dependency_failed is not None and ending.state is State.CANCELLED:
                ending = Ending(ending.state, "dependency_failed", known.dependency_failed, ending.exit_code)
            attempt |= {
                "final": {"ending": ending.as_json(), "record": final.as_json()},
                "missing_since": None,
            }
            if known.state is State.LOST:
                job |= {"reason": None, "message": None}
            return Decision(State.FINALIZING, attempt, job, {"final": final.as_json()})
    claimed = known.claimed or "claimed_at" in attempt
    if known.state is State.LOST:  # only a final record replaces it
        return Decision(State.LOST)
    if "scheduler_id" in attempt:  # what was asked about is a surplus submission: the next tick asks about this one
        return Decision(
            State.RUNNING, attempt, job, {"claim": record.claim.scheduler_id if record and record.claim else None}
        )
    if seen.scheduler is not None and is_ours(seen.scheduler, known):
        return _by_scheduler(known, seen, seen.scheduler, claimed, timing, attempt, job)
    if not seen.asked or record is None:
        if known.missing_since is not None:  # grace times count only while the target answers
            attempt["missing_since"] = None
        state = State.RUNNING if "claimed_at" in attempt else known.state
        return Decision(state, attempt, job, {"claim": True} if "claimed_at" in attempt else {})
    return _unseen(known, seen, timing, attempt, job)


def _runs_again(final: FinalRecord, known: Known, seen: Seen, timing: Timing) -> Decision | None:
    """Look for a rerun after a run that its scheduler ended: it goes back to the queue with the same id.

    While the scheduler shows the job as live, its word is waited for: for a moment where the run may still be ending,
    and as long as it takes where the job waits to run again.
    """
    shown = seen.scheduler
    if final.reason not in ("terminated", "node_failed") or known.cancel_requested or known.state is State.LOST:
        return None
    if shown is None and not seen.asked:  # nobody can say whether it waits to run again
        return Decision(known.state)
    if shown is None or not is_ours(shown, known) or shown.phase is Phase.ENDED:
        return None
    evidence = {"final": final.as_json(), "scheduler": {"id": shown.scheduler_id, "phase": str(shown.phase)}}
    if shown.phase in (Phase.QUEUED, Phase.HELD):
        state = State.HELD if shown.phase is Phase.HELD else State.QUEUED
        return Decision(state, {"missing_since": None}, {}, evidence)
    since = known.missing_since or seen.at
    if (seen.at - since).total_seconds() >= RERUN_GRACES * timing.record_grace:
        return None
    return Decision(State.RUNNING, {"missing_since": since}, {}, evidence)


def _by_scheduler(
    known: Known,
    seen: Seen,
    shown: SchedulerJob,
    claimed: bool,
    timing: Timing,
    attempt: dict[str, Any],
    job: dict[str, Any],
) -> Decision:
    evidence = {
        "scheduler": {
            "id": shown.scheduler_id,
            "phase": str(shown.phase),
            "exit_status": shown.exit_status,
            "reason": shown.reason,
            "comment": shown.comment,
        }
    }
    if shown.phase is not Phase.ENDED:
        if known.missing_since is not None:
            attempt["missing_since"] = None
        if shown.phase in (Phase.RUNNING, Phase.ENDING):
            _note_run(known, seen, attempt)
        if shown.phase in (Phase.RUNNING, Phase.ENDING) or claimed:
            return Decision(State.RUNNING, attempt, job, evidence)
        state = State.HELD if shown.phase is Phase.HELD else State.QUEUED
        return Decision(state, attempt, job, evidence)
    if known.missing_since is None:
        attempt["missing_since"] = seen.at
    waited = (seen.at - known.missing_since).total_seconds() if known.missing_since else 0.0
    began = claimed or not (known.cancel_requested or shown.reason == "dependency_failed")
    if seen.record is None or (waited < timing.record_grace and began):
        return Decision(_awaiting_record(known, claimed), attempt, job, evidence)
    ending = ending_without_record(shown, known)
    if ending.state is State.FAILED:
        _note_run(known, seen, attempt)
    attempt["final"] = {"ending": ending.as_json(), "record": None}
    return Decision(State.FINALIZING, attempt, job, evidence)


def _note_run(known: Known, seen: Seen, attempt: dict[str, Any]) -> None:
    """Write down that a run was shown, or an end that one may have had: what it left is brought, record or not."""
    if not known.ran:
        attempt["running_at"] = seen.at


def _awaiting_record(known: Known, claimed: bool) -> State:
    if known.state is State.UNKNOWN:
        return State.RUNNING if claimed else known.effective
    return State.RUNNING if claimed and known.state in (State.QUEUED, State.HELD) else known.state


def _unseen(known: Known, seen: Seen, timing: Timing, attempt: dict[str, Any], job: dict[str, Any]) -> Decision:
    """The target answered, and neither scheduler nor records say anything: that is nothing, not an end."""
    if known.missing_since is None:
        attempt["missing_since"] = seen.at
        state = State.RUNNING if "claimed_at" in attempt else known.state
        return Decision(state, attempt, job, {"scheduler": None})
    waited = (seen.at - known.missing_since).total_seconds()
    claimed = known.claimed or "claimed_at" in attempt
    if known.cancel_requested and not claimed and waited >= timing.withdrawn_grace:
        ending = ending_without_record(None, known)
        attempt["final"] = {"ending": ending.as_json(), "record": None}
        return Decision(State.FINALIZING, attempt, job, {"scheduler": None, "cancel_requested": True})
    if waited >= timing.unseen_grace + timing.lost_grace and known.state is State.UNKNOWN:
        job |= {
            "reason": "vanished",
            "message": "The scheduler does not know the job, and it left no final record.",
        }
        return Decision(State.LOST, attempt, job, {"scheduler": None, "missing_since": str(known.missing_since)})
    if waited >= timing.unseen_grace:
        return Decision(State.UNKNOWN, attempt, job, {"scheduler": None})
    return Decision(State.RUNNING if "claimed_at" in attempt else known.state, attempt, job, {})
