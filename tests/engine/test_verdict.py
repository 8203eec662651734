"""What evidence means: any order of sights, and never a success without the claimed run's exit code 0."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.compute.records import RecordUpdate
from gateway.compute.scheduler.base import Phase, SchedulerJob
from gateway.engine.timing import Timing
from gateway.engine.verdict import Decision, Ending, Known, Seen, decide
from gateway.model.records import Claim, FinalRecord
from gateway.model.states import TRANSITIONS, State

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TIMING = Timing()
JOB = "11111111-1111-4111-8111-111111111111"
TOKEN, OTHER_TOKEN = "a" * 32, "b" * 32
KNOWN = Known(JOB, 1, State.QUEUED, None, "gw-0123456789ab", "7", True, False, False, None)


def final(**values: object) -> FinalRecord:
    base = FinalRecord(
        job=JOB,
        attempt=1,
        scheduler_id="7",
        token=TOKEN,
        host="n1",
        outcome="ended",
        exit_code=0,
        reason=None,
        message=None,
        claimed_at=None,
        payload_started_at=None,
        payload_ended_at=None,
        ended_at=None,
        image={},
        passes=(),
        manifest=True,
    )
    return replace(base, **values)  # type: ignore[arg-type]


def seen(
    record: RecordUpdate | None = None, job: SchedulerJob | None = None, *, asked: bool = True, at: float = 0
) -> Seen:
    return Seen(T0 + timedelta(seconds=at), record, job, asked)


def ending(decision: Decision) -> Ending | None:
    return Ending.from_json(decision.attempt["final"]["ending"]) if "final" in decision.attempt else None


CLAIMED = RecordUpdate(exists=True, claim=Claim("7", TOKEN))


def test_the_final_record_of_the_claimed_run_ends_the_attempt() -> None:
    found = decide(KNOWN, seen(replace(CLAIMED, final=final())), TIMING)
    assert found.state is State.FINALIZING
    assert ending(found) == Ending(State.SUCCEEDED, None, None, 0)


def test_a_final_record_with_another_token_counts_for_nothing() -> None:
    forged = replace(CLAIMED, final=final(token=OTHER_TOKEN))
    found = decide(KNOWN, seen(forged, SchedulerJob("7", Phase.RUNNING)), TIMING)
    assert found.state is State.RUNNING
    assert ending(found) is None


def test_a_final_record_of_another_attempt_counts_for_nothing() -> None:
    old = replace(CLAIMED, final=final(attempt=2))
    assert ending(decide(KNOWN, seen(old, SchedulerJob("7", Phase.RUNNING)), TIMING)) is None


def test_a_final_record_without_a_claim_counts_for_nothing() -> None:
    assert ending(decide(KNOWN, seen(RecordUpdate(exists=True, final=final())), TIMING)) is None


def test_the_schedulers_word_of_exit_0_is_no_success() -> None:
    known = replace(KNOWN, claimed=True, state=State.RUNNING, missing_since=T0)
    shown = SchedulerJob("7", Phase.ENDED, exit_status=0)
    found = decide(known, seen(CLAIMED, shown, at=TIMING.record_grace + 1), TIMING)
    result = ending(found)
    assert result is not None
    assert (result.state, result.reason) == (State.FAILED, "node_failed")


def test_an_end_without_record_waits_for_the_record_first() -> None:
    known = replace(KNOWN, claimed=True, state=State.RUNNING)
    found = decide(known, seen(CLAIMED, SchedulerJob("7", Phase.ENDED)), TIMING)
    assert found.state is State.RUNNING
    assert found.attempt["missing_since"] == T0


def test_a_run_that_only_the_scheduler_showed_is_noted_once_because_it_may_leave_something() -> None:
    found = decide(KNOWN, seen(RecordUpdate(exists=True), SchedulerJob("7", Phase.RUNNING, None)), TIMING)
    assert (found.state, found.attempt) == (State.RUNNING, {"running_at": T0})
    known = replace(KNOWN, state=State.RUNNING, ran=True)
    assert decide(known, seen(RecordUpdate(exists=True), SchedulerJob("7", Phase.RUNNING, None)), TIMING).attempt == {}


@pytest.mark.parametrize(("cancel_requested", "noted"), [(False, True), (True, False)])
def test_an_end_that_nobody_asked_for_may_have_been_a_run(cancel_requested: bool, noted: bool) -> None:
    known = replace(KNOWN, missing_since=T0, cancel_requested=cancel_requested)
    shown = SchedulerJob("7", Phase.ENDED, exit_status=0)
    found = decide(known, seen(RecordUpdate(exists=True), shown, at=TIMING.record_grace + 1), TIMING)
    assert ("running_at" in found.attempt) is noted
    assert "final" in found.attempt


def test_a_failed_query_changes_nothing() -> None:
    found = decide(replace(KNOWN, state=State.RUNNING, claimed=True), seen(None, None, asked=False), TIMING)
    assert found == Decision(State.RUNNING)


def test_an_unknown_id_becomes_unknown_and_only_later_lost() -> None:
    first = decide(KNOWN, seen(RecordUpdate(exists=True)), TIMING)
    assert (first.state, first.attempt["missing_since"]) == (State.QUEUED, T0)
    known = replace(KNOWN, missing_since=T0)
    second = decide(known, seen(RecordUpdate(exists=True), at=TIMING.unseen_grace), TIMING)
    assert second.state is State.UNKNOWN
    known = replace(known, state=State.UNKNOWN, last_state=State.QUEUED)
    third = decide(known, seen(RecordUpdate(exists=True), at=TIMING.unseen_grace + TIMING.lost_grace), TIMING)
    assert third.state is State.LOST


def test_a_job_cancelled_in_the_queue_and_gone_is_cancelled() -> None:
    known = replace(KNOWN, cancel_requested=True, missing_since=T0)
    found = decide(known, seen(RecordUpdate(exists=True), at=TIMING.record_grace), TIMING)
    assert ending(found) == Ending(State.CANCELLED, "cancelled_by_user", None, None)


def test_another_runs_claim_is_adopted() -> None:
    found = decide(KNOWN, seen(replace(CLAIMED, claim=Claim("9", TOKEN)), None), TIMING)
    assert found.attempt["scheduler_id"] == "9"
    assert found.job["scheduler_id"] == "9"


def test_the_end_of_a_surplus_submission_says_nothing_about_the_run_that_has_the_claim() -> None:
    known = replace(KNOWN, missing_since=T0)
    shown = SchedulerJob("7", Phase.ENDED, exit_status=0)
    found = decide(known, seen(replace(CLAIMED, claim=Claim("9", TOKEN)), shown, at=TIMING.record_grace + 1), TIMING)
    assert (found.state, found.attempt["scheduler_id"], ending(found)) == (State.RUNNING, "9", None)


def test_nothing_but_a_final_record_replaces_lost() -> None:
    lost = replace(KNOWN, state=State.LOST, claimed=True, missing_since=T0)
    assert decide(lost, seen(CLAIMED, SchedulerJob("7", Phase.RUNNING), at=500), TIMING) == Decision(State.LOST)
    found = decide(lost, seen(replace(CLAIMED, final=final())), TIMING)
    assert (found.state, found.job["reason"], found.job["message"]) == (State.FINALIZING, None, None)


def test_success_after_a_late_cancel_is_still_a_success() -> None:
    known = replace(KNOWN, cancel_requested=True, claimed=True, state=State.RUNNING)
    result = ending(decide(known, seen(replace(CLAIMED, final=final())), TIMING))
    assert result is not None
    assert result.state is State.SUCCEEDED


phases = st.sampled_from(list(Phase))
schedulers = st.none() | st.builds(
    SchedulerJob,
    st.just("7"),
    phases,
    exit_status=st.none() | st.integers(-30, 300),
    reason=st.none() | st.sampled_from(["walltime", "node_failed", "terminated"]),
)
claims = st.none() | st.builds(Claim, st.sampled_from(["7", "9"]), st.sampled_from([TOKEN, OTHER_TOKEN]))
finals = st.none() | st.builds(
    lambda token, code, sid: final(
        token=token, exit_code=code, scheduler_id=sid, reason=None if code == 0 else "exit_code"
    ),
    st.sampled_from([TOKEN, OTHER_TOKEN]),
    st.integers(0, 5),
    st.sampled_from(["7", "9"]),
)
records = st.none() | st.builds(lambda c, f: RecordUpdate(exists=True, claim=c, final=f), claims, finals)
knowns = st.builds(
    lambda state, claimed, cancel, missing: replace(
        KNOWN,
        state=state,
        last_state=State.RUNNING if state is State.UNKNOWN else None,
        claimed=claimed,
        cancel_requested=cancel,
        missing_since=missing,
    ),
    st.sampled_from([State.QUEUED, State.HELD, State.RUNNING, State.UNKNOWN, State.LOST]),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(0, 300).map(lambda s: T0 - timedelta(seconds=s)),
)


@given(knowns, records, schedulers, st.booleans())
def test_any_sight_leads_to_a_legal_state_and_no_success_without_evidence(known, record, shown, asked) -> None:
    found = decide(known, seen(record, shown, asked=asked), TIMING)
    assert found.state is known.state or found.state in TRANSITIONS[known.state]
    result = ending(found)
    assert (result is not None) == (found.state is State.FINALIZING)
    if result is not None and result.state is State.SUCCEEDED:
        assert record is not None
        assert record.claim is not None
        assert record.final is not None
        assert record.final.exit_code == 0
        assert (record.final.token, record.final.scheduler_id) == (record.claim.token, record.claim.scheduler_id)
    if found.state is State.LOST and known.state is not State.LOST:
        assert asked
        assert record is not None
        assert known.state is State.UNKNOWN


def test_a_job_that_could_not_start_because_of_another_is_cancelled_with_that_reason() -> None:
    known = replace(KNOWN, cancel_requested=True, dependency_failed="it was to start after the success of 'a'")
    for phase, reason in ((Phase.ENDED, None), (Phase.ENDED, "terminated")):
        found = ending(decide(known, seen(RecordUpdate(exists=True), SchedulerJob("7", phase, reason=reason)), TIMING))
        assert found == Ending(State.CANCELLED, "dependency_failed", known.dependency_failed, None)
    stopped = replace(CLAIMED, final=final(outcome="not_started", exit_code=None, reason="cancelled_by_user"))
    found = ending(decide(known, seen(stopped), TIMING))
    assert found == Ending(State.CANCELLED, "dependency_failed", known.dependency_failed, None)
    by_scheduler = SchedulerJob("7", Phase.ENDED, reason="dependency_failed")
    late = replace(KNOWN, missing_since=T0)
    found = ending(decide(late, seen(RecordUpdate(exists=True), by_scheduler, at=60), TIMING))
    assert found is not None
    assert (found.state, found.reason) == (State.CANCELLED, "dependency_failed")


def test_a_job_that_ran_to_its_end_all_the_same_is_what_its_record_says() -> None:
    known = replace(KNOWN, cancel_requested=True, dependency_failed="too late")
    assert ending(decide(known, seen(replace(CLAIMED, final=final())), TIMING)) == Ending(
        State.SUCCEEDED, None, None, 0
    )


def test_a_job_of_another_name_under_the_same_id_is_nothing_whatever_became_of_it() -> None:
    for phase in Phase:
        shown = SchedulerJob("7", phase, "somebody's", 0 if phase is Phase.ENDED else None)
        first = decide(KNOWN, seen(RecordUpdate(exists=True), shown), TIMING)
        assert (first.state, first.attempt) == (State.QUEUED, {"missing_since": T0})
        later = seen(RecordUpdate(exists=True), shown, at=TIMING.unseen_grace)
        assert decide(replace(KNOWN, missing_since=T0), later, TIMING).state is State.UNKNOWN


def test_a_run_with_the_claim_may_be_one_of_an_array_that_was_submitted_before() -> None:
    shown = SchedulerJob("7", Phase.RUNNING, "gw-00000000000a")
    known = replace(KNOWN, claimed=True, state=State.RUNNING)
    assert decide(known, seen(CLAIMED, shown), TIMING).state is State.RUNNING
    assert decide(KNOWN, seen(RecordUpdate(exists=True), shown), TIMING).attempt == {"missing_since": T0}


def test_grace_times_count_only_while_the_target_answers() -> None:
    known = replace(KNOWN, state=State.UNKNOWN, last_state=State.RUNNING, claimed=True, missing_since=T0)
    for sight in (seen(CLAIMED, asked=False, at=3600), seen(None, at=3600)):
        found = decide(known, sight, TIMING)
        assert (found.state, found.attempt.get("missing_since", T0)) == (State.UNKNOWN, None)
    again = decide(replace(known, missing_since=None), seen(CLAIMED, at=3605), TIMING)
    assert again.state is State.UNKNOWN
