"""A run that its scheduler ended is over only when the scheduler does not run it again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.compute.records import RecordUpdate
from gateway.compute.scheduler.base import Phase, SchedulerJob
from gateway.engine.timing import Timing
from gateway.engine.verdict import RERUN_GRACES, Known, Seen, decide
from gateway.model.records import Claim, FinalRecord
from gateway.model.states import State

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TIMING = Timing()
JOB, TOKEN = "11111111-1111-4111-8111-111111111111", "a" * 32
RUNNING = Known(JOB, 1, State.RUNNING, None, "gw-0123456789ab", "7", True, True, False, None)


def ended(reason: str | None = "terminated", exit_code: int | None = 143) -> RecordUpdate:
    outcome = "ended" if reason is None else "stopped"
    nothing = (None, None, None, None, {}, (), True)
    final = FinalRecord(JOB, 1, "7", TOKEN, "n1", outcome, exit_code, reason, None, *nothing)
    return RecordUpdate(exists=True, claim=Claim("7", TOKEN), final=final)


def look(known: Known, record: RecordUpdate, phase: Phase | None, at: float = 0):
    job = None if phase is None else SchedulerJob("7", phase)
    return decide(known, Seen(T0 + timedelta(seconds=at), record, job, True), TIMING)


@pytest.mark.parametrize(("phase", "state"), [(Phase.QUEUED, State.QUEUED), (Phase.HELD, State.HELD)])
def test_a_terminated_run_that_waits_again_is_in_the_queue_however_long(phase: Phase, state: State) -> None:
    found = look(replace(RUNNING, missing_since=T0), ended(), phase, at=86400)
    assert found.state is state
    assert "final" not in found.attempt


def test_while_the_run_may_still_be_ending_the_schedulers_word_is_waited_for_a_while() -> None:
    first = look(RUNNING, ended(), Phase.RUNNING)
    assert (first.state, first.attempt["missing_since"]) == (State.RUNNING, T0)
    waiting = replace(RUNNING, missing_since=T0)
    assert look(waiting, ended(), Phase.ENDING, at=1).state is State.RUNNING
    late = RERUN_GRACES * TIMING.record_grace
    assert look(waiting, ended(), Phase.RUNNING, at=late).state is State.FINALIZING


@pytest.mark.parametrize("phase", [Phase.ENDED, None])
def test_once_the_scheduler_knows_no_further_run_it_is_over(phase: Phase | None) -> None:
    assert look(RUNNING, ended(), phase).state is State.FINALIZING


def test_an_answer_that_says_nothing_of_a_terminated_run_ends_nothing() -> None:
    for state in (State.RUNNING, State.UNKNOWN):
        known = replace(RUNNING, state=state, last_state=State.RUNNING if state is State.UNKNOWN else None)
        found = decide(known, Seen(T0, ended(), None, asked=False), TIMING)
        assert (found.state, "final" in found.attempt) == (state, False)


@pytest.mark.parametrize("reason", [None, "exit_code", "walltime", "cancelled_by_user"])
def test_any_other_end_is_the_end(reason: str | None) -> None:
    record = ended(reason, 0 if reason is None else 1)
    assert look(RUNNING, record, Phase.QUEUED).state is State.FINALIZING


def test_a_cancelled_job_is_not_waited_for() -> None:
    assert look(replace(RUNNING, cancel_requested=True), ended(), Phase.QUEUED).state is State.FINALIZING
