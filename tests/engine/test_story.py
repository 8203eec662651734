"""Any order of answers, records, losses, reruns, cancels, give-ups and restarts, on a real database.

Whatever happens: no ended state changes (but ``lost`` by later positive evidence), no success without exit code 0 of
the claimed run, no job is forgotten, and ``unknown`` keeps its age until the target answers or a person gives it up.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Work
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from story_world import Queued, TruthOfAttempt

from gateway.compute.scheduler.base import Phase, SchedulerFacts
from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.compute.transport.base import CommandResult
from gateway.db import events, jobs
from gateway.db.database import Database
from gateway.engine.driver import WATCHED, _mark_unknown
from gateway.engine.finalise import Finaliser
from gateway.engine.launch import Launcher
from gateway.engine.observe import Observer, rests
from gateway.engine.poll import Sight
from gateway.engine.timing import Timing
from gateway.errors import Conflict
from gateway.jobs import intents
from gateway.model.specification import JobSpecification
from gateway.model.states import ENDED, LIVE, TRANSITIONS, State

TIMING = Timing(submit_grace=0.0, retry_delays=(0.0,))
FACTS = SchedulerFacts("slurm", "22.05.8", {"sacct": "no"})
SPEC = JobSpecification.model_validate({"command": ["true"], "retry": {"attempts": 2, "reasons": ["node_failed"]}})
BLIND = frozenset({State.QUEUED, State.HELD, State.RUNNING, State.FINALIZING})
_TOLD = {"state", "attempt", "cancel_requested_at", "last_state", "a_scheduler_id", "a_submit_started_at", "a_final"}
LANES = (f"lane{number}" for number in itertools.count())
IDS = (str(number) for number in itertools.count(1))


class Settler(Finaliser):
    """Settles jobs whose records are the world's, and whose store is not configured any more."""

    kept: dict[str, bytes]

    async def _fetch_records(self, row: Any, target: Any) -> dict[str, bytes]:
        return self.kept


@dataclass(frozen=True)
class Place:
    """What all examples share: making a database takes longer than a story."""

    database: Database
    folder: Path
    runner: asyncio.Runner


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        database = Database(f"sqlite:///{folder}/g.db")
        database.migrate()
        yield Place(database, Path(folder), runner)
        database.close()


def _begin(connection: Any, row: Any) -> None:
    """What the launcher writes before anything is sent."""
    if row["cancel_requested_at"] is None:
        jobs.insert_attempt(connection, row["id"], row["attempt"], f"gw-{uuid.uuid4().hex[:12]}")
        jobs.change_state(connection, row["id"], State.STAGING)


def _queued(connection: Any, row: Any, scheduler_id: str) -> None:
    """What the launcher writes when a scheduler told its id."""
    jobs.set_attempt(connection, row["id"], row["attempt"], scheduler_id=scheduler_id, submitted_at=jobs.now())
    jobs.change_state(connection, row["id"], State.QUEUED, scheduler_id=scheduler_id)


class Story(RuleBasedStateMachine):
    """Jobs of one target, the world they run in, and a gateway that is shown parts of it."""

    place: Place

    def __init__(self) -> None:
        super().__init__()
        self.database, self.run_async = self.place.database, self.place.runner.run
        self.lane = next(LANES)
        self.now = datetime.now(UTC)
        self.truth: dict[str, list[TruthOfAttempt]] = {}
        self.changes: dict[str, list[dict[str, Any]]] = {}
        self.last_event: dict[str, int] = {}
        self.given_up: set[str] = set()
        self.answered: set[str] = set()
        """Jobs about which the target answered since they became unknown."""
        self.observer = Observer(self.database, TIMING)
        self.settler = Settler(self.database, {}, self.place.folder, TIMING)
        self.restart()

    # --- What is there

    def rows(self, *states: State) -> list[Any]:
        found = self.database.read_here(lambda c: jobs.whole(c, list(self.truth)))
        return [row for row in found if not states or row["state"] in states]

    @staticmethod
    def pick(data: st.DataObject, rows: list[Any]) -> list[Any]:
        """Choose one; none where there is none, so that the rule does nothing."""
        return [rows[data.draw(st.integers(0, len(rows) - 1))]] if rows else []

    def attempt(self, row: Any) -> TruthOfAttempt:
        return self.truth[row["id"]][row["attempt"] - 1]

    def some(self, *phases: Phase) -> bool:
        return any(q.phase in phases and q.name == a.name for a in self.attempts() for q in a.queued)

    def attempts(self) -> list[TruthOfAttempt]:
        return [attempt for found in self.truth.values() for attempt in found]

    def write(self, function: Any) -> Any:
        return self.database.write_here(function)

    # --- People

    @initialize()
    def first_job(self) -> None:
        self.ask_for_a_job()
        self.all_goes_well()

    @rule()
    def all_goes_well(self) -> None:
        """Bring every job as far as a run that was seen to begin."""
        self.begin()
        for row in self.rows(State.STAGING):
            if row["cancel_requested_at"] is None and self.may_send(row):
                self._send(row, "answered")
        for attempt in self.attempts():
            for job in attempt.queued:
                if job.phase is Phase.QUEUED and job.name == attempt.name:
                    attempt.start(job)
        self.look(1, "whole", 0)

    @precondition(lambda self: len(self.truth) < 3)
    @rule()
    def ask_for_a_job(self) -> None:
        job_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.lane}-{len(self.truth)}"))
        values = {"id": job_id, "name": "x", "state": State.ACCEPTED, "owner": "alice", "tags": {}}
        values |= {"target": self.lane, "stores": ["away"], "spec": SPEC.model_dump(mode="json")}
        self.write(lambda c: jobs.insert_job(c, values, [jobs.NewStore("away", None, "push")]))
        self.truth[job_id] = []

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        for row in self.pick(data, self.rows()):
            try:
                self.write(lambda c, row=row: intents.cancel(c, row, "alice"))
            except Conflict:
                assert row["state"] in ENDED

    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        for row in self.pick(data, self.rows(State.UNKNOWN)):
            self.write(lambda c, row=row: intents.abandon(c, row))
            self.given_up.add(row["id"])

    # --- The gateway

    @rule()
    def restart(self) -> None:
        """A new process knows what stands in the database."""
        self.seeing_since: datetime | None = None
        self.not_found: set[str] = set()
        """Submissions that were looked for in vain: they may be sent again."""
        answers = SimpleNamespace(run=self._told_to_stop)
        self.target: Any = SimpleNamespace(
            name=self.lane, transport=answers, scheduler=Slurm(SlurmSettings(kind="slurm"))
        )
        none: Any = None
        self.launcher = Launcher(self.target, self.database, {}, TIMING, none, none)

    async def _told_to_stop(self, *_: Any, **__: Any) -> CommandResult:
        return CommandResult(b"", b"", 0)

    @rule()
    def begin(self) -> None:
        for row in self.rows(State.ACCEPTED):
            self.write(lambda c, row=row: _begin(c, row))
        self.run_async(self.launcher.give_up_cancelled(self.rows(State.ACCEPTED, State.STAGING)))

    @rule(data=st.data(), outcome=st.sampled_from(["answered", "answered", "lost", "never", "refused"]))
    def send(self, data: st.DataObject, outcome: str) -> None:
        """Submit, for the first time or again because nothing was found of it."""
        open_ = [r for r in self.rows(State.STAGING) if r["cancel_requested_at"] is None]
        for row in self.pick(data, [r for r in open_ if self.may_send(r)]):
            self._send(row, outcome)

    def may_send(self, row: Any) -> bool:
        return row["a_submit_started_at"] is None or row["a_submission"] in self.not_found

    def _send(self, row: Any, outcome: str) -> None:
        found = self.truth[row["id"]]
        if len(found) < row["attempt"]:
            found.append(TruthOfAttempt(row["id"], row["attempt"], row["a_submission"]))
        values = {"submit_started_at": jobs.now(), "control_folder": f"/w/{row['id']}/{row['attempt']}"}
        self.write(lambda c: jobs.set_attempt(c, row["id"], row["attempt"], **values))
        if outcome in ("answered", "lost"):
            job = found[-1].submit(next(IDS))
            if outcome == "answered":
                self.write(lambda c: _queued(c, row, job.scheduler_id))
        elif outcome == "refused":
            self.write(lambda c: jobs.change_state(c, row["id"], State.FAILED, reason="scheduler_rejected"))
        self.not_found.discard(row["a_submission"])

    @rule()
    def settle(self) -> None:
        for row in self.rows(State.FINALIZING):
            self._settle(row)

    @rule()
    def look_and_settle(self) -> None:
        """What is seen without a record is believed only after a second look."""
        self.look(5, "whole", 0)
        self.look(20, "whole", 0)
        self.settle()

    def _settle(self, row: Any) -> None:
        final = self.attempt(row).final
        self.settler.kept = {} if final is None else {"final.json": json.dumps(final.as_json()).encode()}
        self.run_async(self.settler.settle(row["id"], row["attempt"], self.target))

    # --- The world

    @precondition(lambda self: self.some(Phase.QUEUED))
    @rule(data=st.data())
    def a_run_begins(self, data: st.DataObject) -> None:
        waiting = [(a, q) for a in self.attempts() for q in a.queued if q.phase is Phase.QUEUED and q.name == a.name]
        for attempt, job in self.pick(data, waiting):
            attempt.start(job)

    @precondition(lambda self: self.some(Phase.RUNNING))
    @rule(data=st.data(), exit_code=st.sampled_from([0, 0, 3, None]))
    def a_run_ends(self, data: st.DataObject, exit_code: int | None) -> None:
        going = [(a, q) for a in self.attempts() for q in a.queued if q.phase is Phase.RUNNING and q.name == a.name]
        for attempt, job in self.pick(data, going):
            attempt.end(job, exit_code)

    @precondition(lambda self: self.some(Phase.RUNNING))
    @rule(data=st.data())
    def the_scheduler_puts_a_run_back_into_the_queue(self, data: st.DataObject) -> None:
        """As when its node is drained: the run ends with its record, and the same id waits to run again."""
        going = [(a, q) for a in self.attempts() for q in a.queued if q.phase is Phase.RUNNING and q.name == a.name]
        for attempt, job in self.pick(data, going):
            attempt.requeue(job)

    @precondition(lambda self: self.some(*Phase))
    @rule(data=st.data())
    def the_scheduler_runs_a_job_again(self, data: st.DataObject) -> None:
        """After a node's death, or beside a run that the scheduler cannot see: the claim goes to the new run."""
        known = [(a, q) for a in self.attempts() for q in a.queued if q.name == a.name]
        for attempt, job in self.pick(data, known):
            attempt.start(job)

    @precondition(lambda self: any(len(a.claims) > 1 for a in self.attempts()))
    @rule(data=st.data())
    def a_superseded_run_writes_its_record(self, data: st.DataObject) -> None:
        old = [(a, q) for a in self.attempts() for q in a.queued if len(a.claims) > 1 and q.phase is Phase.RUNNING]
        for attempt, job in self.pick(data, old):
            attempt.end(job, 0, token=attempt.claims[0].token)
            job.phase = Phase.RUNNING

    @precondition(lambda self: self.some(*Phase))
    @rule(data=st.data())
    def the_scheduler_forgets(self, data: st.DataObject) -> None:
        for job in self.pick(data, [q for a in self.attempts() for q in a.queued]):
            job.forgotten = True

    @precondition(lambda self: self.some(*Phase))
    @rule(data=st.data(), phase=st.sampled_from(list(Phase)))
    def an_id_is_given_to_somebody_else(self, data: st.DataObject, phase: Phase) -> None:
        for job in self.pick(data, [q for a in self.attempts() for q in a.queued]):
            job.name, job.phase, job.exit_status = "somebody's", phase, 0 if phase is Phase.ENDED else None

    # --- What is seen of it

    @rule(
        seconds=st.sampled_from([1, 5, 20, 200]),
        answer=st.sampled_from(["whole", "whole", "whole", "unreadable", "partial", "no records"]),
        hidden=st.integers(0, 3),
    )
    def look(self, seconds: int, answer: str, hidden: int) -> None:
        """One tick whose answer arrived, or a part of it."""
        self.now += timedelta(seconds=seconds)
        self.seeing_since = self.seeing_since or self.now
        rows = self.rows()
        watched = [r for r in rows if State(r["state"]) in WATCHED and (r["a_control_folder"] or rests(r))]
        lost = [r for r in rows if r["state"] == State.STAGING and r["a_submit_started_at"]]
        queued = [q for a in self.attempts() for q in a.queued if not q.forgotten]
        if answer == "partial":
            queued = queued[hidden:]
        records = {r["a_control_folder"]: self.attempt(r).seen() for r in [*watched, *lost] if r["a_control_folder"]}
        sight = Sight(
            jobs={q.scheduler_id: q.shown() for q in queued} if answer != "unreadable" else {},
            records={} if answer == "no records" else records,
            found=self._by_name(queued) if answer != "unreadable" else {},
            asked=answer != "unreadable",
            whole=answer in ("whole", "no records"),
        )
        before = {row["id"]: row for row in watched}
        again = {row["id"] for row in watched if self.waits_to_run_again(row)}
        self.run_async(self.observer.take(watched, sight, self.now, self.seeing_since))
        self.run_async(self.launcher.adopt(lost, sight, FACTS))
        if sight.asked:
            unclaimed = [r for r in lost if self.attempt(r).claim is None]
            self.not_found |= {r["a_submission"] for r in unclaimed if r["a_submission"] not in sight.found}
        for row in self.rows():
            if row["id"] in again:  # a terminated run is not the end of what waits to run again
                assert row["state"] != State.FINALIZING or row["cancel_requested_at"]
        if answer == "unreadable":
            for row in self.rows():
                if row["id"] in before:
                    assert row["observed_at"] == before[row["id"]]["observed_at"]
        if answer == "whole":
            self.answered |= set(self.truth)

    def waits_to_run_again(self, row: Any) -> bool:
        """Say whether a job's claimed run was terminated and is in the queue, unless the gateway asks by another id."""
        final = self.attempt(row).final
        return row["state"] in BLIND and any(
            final is not None
            and final.reason == "terminated"
            and job.scheduler_id == final.scheduler_id == row["a_scheduler_id"]
            and (job.name, job.phase, job.forgotten) == (self.attempt(row).name, Phase.QUEUED, False)
            for job in self.attempt(row).queued
        )

    @staticmethod
    def _by_name(queued: list[Queued]) -> dict[str, tuple[str, ...]]:
        return {q.name: tuple(o.scheduler_id for o in queued if o.name == q.name) for q in queued}

    @rule(seconds=st.sampled_from([1, 40, 5000]))
    def the_target_does_not_answer(self, seconds: int) -> None:
        """Jobs become unknown after a while; nothing else about them changes, however long it lasts."""
        self.now += timedelta(seconds=seconds)
        self.seeing_since = None
        before = {row["id"]: row for row in self.rows()}
        blind = [row for row in before.values() if State(row["state"]) in BLIND]
        if seconds > TIMING.unreachable_grace:
            self.write(lambda c: _mark_unknown(c, blind, "refused"))
            self.answered -= {row["id"] for row in blind}
        for row in self.rows():
            old = before[row["id"]]
            assert row["observed_at"] == old["observed_at"]
            if old["state"] == State.UNKNOWN:
                assert (row["state"], row["last_state"]) == (State.UNKNOWN, old["last_state"])

    # --- What always holds

    @invariant()
    def nothing_is_forgotten_and_nothing_is_a_lie(self) -> None:
        rows, live = self.database.read_here(self._all)
        assert rows.keys() == self.truth.keys()
        for job_id, row in rows.items():
            state = State(row["state"])
            assert (job_id in live) == (state in LIVE)
            assert (row["ended_at"] is not None) == (state in ENDED)
            assert (row["last_state"] is not None) == (state is State.UNKNOWN)
            assert self.changes[job_id][-1]["to"] == state
            if state is State.SUCCEEDED:
                attempt = self.attempt(row)
                assert row["exit_code"] == 0
                assert row["a_final"]["record"]["token"] in attempt.successes
            if state is State.FAILED and row["a_final"] is not None and row["a_final"]["record"] is None:
                assert self.attempt(row).ended
            if state is State.LOST:
                assert job_id in self.given_up or job_id in self.answered
                assert (row["reason"] == "abandoned") <= (job_id in self.given_up)

    def _all(self, connection: Any) -> tuple[dict[str, Any], set[str]]:
        """Read the jobs and which of them are live, and check their news, each legal and following the one before."""
        for job_id in self.truth:
            changes = self.changes.setdefault(job_id, [])
            for row in events.after(connection, self.last_event.get(job_id, 0), job_id=job_id):
                self.last_event[job_id] = row["sequence"]
                if row["kind"] == "state":
                    changes.append(row["data"])
            for before, after in itertools.pairwise(changes):
                assert after["from"] == before["to"]
                assert after["to"] in TRANSITIONS[State(after["from"])]
                if before["to"] in ENDED:
                    assert (before["to"], after["to"]) == (State.LOST, State.FINALIZING)
        rows = {row["id"]: row for row in jobs.whole(connection, list(self.truth))}
        return rows, {row["id"] for row in jobs.live(connection, self.lane)}

    def teardown(self) -> None:
        """Once everything answers again, every job ends, and each as the last word of its claimed run says."""
        for _ in range(40):
            self.begin()
            for row in self.rows(State.STAGING):
                if row["cancel_requested_at"] is None and self.may_send(row):
                    self._send(row, "answered")
            for attempt in self.attempts():
                for job in attempt.queued:
                    self._run_to_its_end(attempt, job)
            self.look(20, "whole", 0)
            for row in self.rows(State.FINALIZING):
                self._settle(row)
            if all(State(row["state"]) in ENDED for row in self.rows()):
                break
        self.nothing_is_forgotten_and_nothing_is_a_lie()
        for row in self.rows():
            shown = [f"{name}={row[name]}" for name in row if name in _TOLD]
            assert State(row["state"]) in ENDED, "; ".join(shown)

    @staticmethod
    def _run_to_its_end(attempt: TruthOfAttempt, job: Queued) -> None:
        if job.name != attempt.name:
            return
        if job.phase is Phase.QUEUED:
            attempt.start(job)
        if job.phase is Phase.RUNNING:
            attempt.end(job, 0)


def test_no_order_of_events_makes_the_gateway_lie_or_forget(place: Place) -> None:
    found = type("StoryHere", (Story,), {"place": place})
    limits = settings(
        max_examples=15,
        stateful_step_count=40,
        suppress_health_check=list(HealthCheck),
        phases=(Work.explicit, Work.reuse, Work.generate),  # making a failing story shorter takes minutes
    )
    run_state_machine_as_test(found, settings=limits)
