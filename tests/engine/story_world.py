"""The world of the state machine of test_story.py: schedulers and runs that do what real ones were seen to do.

It keeps what is true, apart from what the gateway is shown of it.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field

from gateway.compute.records import RecordUpdate
from gateway.compute.scheduler.base import Phase, SchedulerJob
from gateway.model.records import Claim, FinalRecord, parse_final


@dataclass
class Queued:
    """One job in the scheduler. `name` is another one's where its id was given away anew."""

    scheduler_id: str
    name: str
    phase: Phase = Phase.QUEUED
    exit_status: int | None = None
    forgotten: bool = False

    def shown(self) -> SchedulerJob:
        """What the scheduler says of it."""
        return SchedulerJob(self.scheduler_id, self.phase, self.name, self.exit_status)


@dataclass
class TruthOfAttempt:
    """What is so of one attempt, whether or not anybody saw it."""

    job_id: str
    number: int
    name: str
    queued: list[Queued] = field(default_factory=list)
    claim: Claim | None = None
    final: FinalRecord | None = None
    successes: set[str] = field(default_factory=set)
    """Tokens of the runs that held the claim when they ended with 0."""
    claims: list[Claim] = field(default_factory=list)
    ended: bool = False
    """Whether the scheduler's job of this attempt was ever over."""

    def submit(self, scheduler_id: str) -> Queued:
        """Take the submission once more: nobody can know about the times before."""
        found = Queued(scheduler_id, self.name)
        self.queued.append(found)
        return found

    def start(self, job: Queued) -> bool:
        """Let a run begin; return whether it holds the claim. A second run of one id takes the claim over."""
        job.phase = Phase.RUNNING
        if self.claim is not None and self.claim.scheduler_id != job.scheduler_id:
            job.phase, job.exit_status, self.ended = Phase.ENDED, 0, True  # it yields
            return False
        self.claim = Claim(job.scheduler_id, uuid.uuid4().hex)
        self.claims.append(self.claim)
        self.final = None
        return True

    def end(self, job: Queued, exit_code: int | None, token: str | None = None) -> None:
        """End a run: with its record, or (None) without one. A run of an older token writes its record all the same."""
        job.phase, job.exit_status, self.ended = Phase.ENDED, 0 if exit_code is None else exit_code, True
        if self.claim is None or self.claim.scheduler_id != job.scheduler_id or exit_code is None:
            return
        token = token or self.claim.token
        self.final = record(self, job.scheduler_id, token, exit_code)
        if exit_code == 0 and token == self.claim.token:
            self.successes.add(token)

    def requeue(self, job: Queued) -> None:
        """Let the scheduler end a run and put it back into the queue: its record says `terminated`, its id stays."""
        if self.claim is not None and self.claim.scheduler_id == job.scheduler_id:
            self.final = record(self, job.scheduler_id, self.claim.token, 143, reason="terminated")
        self.ended = True
        job.phase = Phase.QUEUED

    def seen(self) -> RecordUpdate:
        """What stands in the control folder."""
        return RecordUpdate(exists=True, claim=self.claim, final=self.final)


def record(
    attempt: TruthOfAttempt, scheduler_id: str, token: str, exit_code: int, reason: str | None = None
) -> FinalRecord:
    """A final record as the script writes it."""
    raw = {
        "version": 1,
        "job": attempt.job_id,
        "attempt": attempt.number,
        "scheduler_id": scheduler_id,
        "token": token,
        "outcome": "ended" if reason is None else "stopped",
        "exit_code": exit_code,
        "reason": reason or (None if exit_code == 0 else "exit_code"),
        "manifest": False,
    }
    return parse_final(json.dumps(raw).encode())
