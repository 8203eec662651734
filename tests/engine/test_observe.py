"""What a look at a target showed, written into a real database: one job never hides others."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.compute.records import CHUNK, RecordUpdate
from gateway.compute.scheduler.base import Phase, SchedulerJob
from gateway.db import events, jobs, outputs
from gateway.db.database import Database
from gateway.db.live_rows import LiveRows
from gateway.engine import observe
from gateway.engine.claims import late_record, node_claims
from gateway.engine.observe import Observer, known_of
from gateway.engine.plan import plan_job
from gateway.engine.poll import AT_ONCE, NEWS, SHORTEST, Sight, chunk_for
from gateway.engine.timing import Timing
from gateway.model.records import Claim, FinalRecord, parse_final
from gateway.model.specification import JobSpecification
from gateway.model.states import State

TOKEN, OTHER = "a" * 32, "b" * 32
NOW = datetime.now(UTC)
SPEC = JobSpecification.model_validate({"command": ["true"]}).model_dump(mode="json")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path}/g.db")
    found.migrate()
    yield found
    found.close()


async def add(database: Database, spec: Any = SPEC, **attempt: Any) -> str:
    """Store a running job."""
    job_id = str(uuid.uuid4())
    values = {"id": job_id, "name": "x", "state": State.ACCEPTED, "owner": "alice", "tags": {}, "target": "t"}

    def insert(connection: Any) -> None:
        stores = [jobs.NewStore("folder", None, "push")]
        jobs.insert_job(connection, {**values, "stores": ["folder"], "spec": spec}, stores)
        jobs.insert_attempt(connection, job_id, 1, f"gw-{uuid.uuid4().hex[:12]}")
        columns = {"scheduler_id": job_id[:8], "submitted_at": NOW, "control_folder": f"/w/.gateway/{job_id}/1"}
        columns |= {"token": TOKEN, "claimed_at": NOW, "running_at": NOW}
        jobs.set_attempt(connection, job_id, 1, **{**columns, **attempt})
        for state in (State.STAGING, State.QUEUED, State.RUNNING):
            jobs.change_state(connection, job_id, state)

    await database.write(insert)
    return job_id


async def row_of(database: Database, job_id: str) -> Any:
    (row,) = await database.read(lambda c: jobs.whole(c, [job_id]))
    return row


def final_of(job_id: str, **changes: Any) -> FinalRecord:
    raw = {"version": 1, "job": job_id, "attempt": 1, "scheduler_id": job_id[:8], "token": TOKEN, "outcome": "ended"}
    return parse_final(json.dumps({**raw, "exit_code": 0, "reason": None, "manifest": True, **changes}).encode())


def record_of(job_id: str, **changes: Any) -> RecordUpdate:
    return replace(RecordUpdate(exists=True, claim=Claim(job_id[:8], TOKEN)), **changes)


async def take(database: Database, records: dict[str, RecordUpdate], jobs_shown: dict[str, SchedulerJob] | None = None):
    rows = await database.read(lambda c: jobs.live(c, "t"))
    by_folder = {f"/w/.gateway/{job_id}/1": record for job_id, record in records.items()}
    shown = {sid: job for sid, job in (jobs_shown or {}).items()}
    await Observer(database, Timing()).take(rows, Sight(shown, by_folder, asked=True, whole=True), NOW, NOW)


async def test_a_job_whose_progress_cannot_be_written_hides_no_other_and_not_its_own_verdict(database) -> None:
    bad, good, ended = await add(database, spec={"strange": 1}), await add(database), await add(database)
    lines = [{"msg": "Copied (new)", "object": "a", "size": 1}]
    records = {
        bad: record_of(bad, sync_lines=lines, offsets={"sync.jsonl": 70}, final=final_of(bad)),
        good: record_of(good, sync_lines=lines, offsets={"sync.jsonl": 70}),
        ended: record_of(ended, final=final_of(ended)),
    }
    await take(database, records, {good[:8]: SchedulerJob(good[:8], Phase.RUNNING)})
    states = [(await row_of(database, job_id))["state"] for job_id in (bad, good, ended)]
    assert states == ["finalizing", "running", "finalizing"]
    found = await database.read(lambda c: outputs.files(c, good, "folder"))
    assert [row["path"] for row in found] == ["a"]


@pytest.mark.parametrize("line", [{"object": "a", "size": 2**80}, {"object": "\ud800", "size": 1}])
async def test_lines_that_no_database_takes_are_passed_over(database, line) -> None:
    job_id = await add(database)
    record = record_of(job_id, sync_lines=[{"msg": "Copied (new)", **line}], offsets={"sync.jsonl": 9})
    await take(database, {job_id: record}, {job_id[:8]: SchedulerJob(job_id[:8], Phase.RUNNING)})
    assert (await row_of(database, job_id))["a_offsets"] == {"sync.jsonl": 9, "transfer": 0}
    assert await database.read(lambda c: outputs.files(c, job_id, "folder")) == []


async def test_a_chunk_without_one_good_line_is_not_read_for_ever(database) -> None:
    job_id = await add(database)
    await take(database, {job_id: record_of(job_id, offsets={"status.jsonl": CHUNK})})
    assert (await row_of(database, job_id))["a_offsets"] == {"status.jsonl": CHUNK}


async def test_records_of_a_schedulers_rerun_are_read_from_their_start(database) -> None:
    job_id = await add(database, offsets={"status.jsonl": 500})
    record = record_of(job_id, claim=Claim(job_id[:8], OTHER), status_lines=[{"phase": "running"}])
    await take(database, {job_id: replace(record, offsets={"status.jsonl": 600})})
    row = await row_of(database, job_id)
    assert (row["a_offsets"], row["a_token"]) == ({}, OTHER)
    last = await database.read(lambda c: events.after(c, 0, job_id=job_id))
    assert "phase" not in {event["kind"] for event in last}


async def test_time_in_which_nobody_looked_is_no_grace_time(database) -> None:
    row = await row_of(database, await add(database, missing_since=NOW - timedelta(days=1)))
    assert known_of(row, NOW).missing_since == NOW
    assert known_of(row, NOW - timedelta(days=2)).missing_since == NOW - timedelta(days=1)


async def test_a_manifest_counts_only_after_a_final_pass_without_failure(database) -> None:
    row = await row_of(database, await add(database))
    rows = [{"Path": "a", "Size": 1, "ModTime": "2026-01-01T00:00:00Z"}]
    for status, expected in ((0, {"folder"}), (1, set())):
        transfer = {"store": "folder", "source": "", "destination": "S0:x", "exit_status": status, "files": rows}
        manifest = {"version": 1, "job": row["id"], "attempt": 1, "token": TOKEN, "at": None, "transfers": [transfer]}
        kept = {"manifest.json": json.dumps(manifest).encode()}
        assert set(node_claims(row, plan_job(row, row["stores"]), {"folder"}, kept)) == expected
        forged = {"manifest.json": json.dumps({**manifest, "token": OTHER}).encode()}
        assert node_claims(row, plan_job(row, row["stores"]), {"folder"}, forged) == {}


async def test_a_final_record_that_came_late_counts_if_it_is_the_claimed_runs(database) -> None:
    ending = {"state": "failed", "reason": "node_failed", "message": None, "exit_code": None}
    job_id = await add(database, final={"ending": ending, "record": None})
    row = await row_of(database, job_id)

    def kept(**changes: Any) -> dict[str, bytes]:
        return {"final.json": json.dumps({"version": 1, **final_of(job_id).as_json(), **changes}).encode()}

    found = late_record(row, kept())
    assert found is not None
    assert found.exit_code == 0
    assert late_record(row, kept(token=OTHER)) is None
    assert late_record(row, kept(attempt=2)) is None
    assert late_record(row, {}) is None


async def test_jobs_are_listed_without_what_may_be_large(database) -> None:
    await add(database, script="x" * 1000)
    (row,) = await database.read(lambda c: jobs.live(c, "t"))
    assert "spec" not in row
    assert "a_script" not in row


def test_the_more_jobs_a_command_looks_at_the_less_of_each_it_carries() -> None:
    assert chunk_for(1) == CHUNK
    assert all(2 * count * chunk_for(count) <= NEWS for count in (1, 10, 200, 1000))
    assert chunk_for(AT_ONCE) == SHORTEST


class Watched:
    """An observer that sees jobs again and again, and counts whom it decides about."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.database = database
        self.rows = LiveRows("t")
        self.observer = Observer(database, Timing())
        self.decided: list[str] = []
        decide = observe.decide
        monkeypatch.setattr(observe, "decide", lambda *seen: (self.decided.append(seen[0].job_id), decide(*seen))[1])

    async def look(
        self, shown: dict[str, SchedulerJob], record: RecordUpdate | None, at: datetime = NOW, *, whole: bool = True
    ) -> list[str]:
        """See the jobs, each with the same record; return those that were decided about."""
        rows = await self.database.read(self.rows.read)
        by_folder = {row["a_control_folder"]: record for row in rows if record is not None}
        self.decided.clear()
        await self.observer.take(rows, Sight(shown, by_folder, asked=True, whole=whole), at, NOW)
        return list(self.decided)


async def test_a_job_of_which_the_same_is_seen_again_is_not_decided_about_again(database, monkeypatch) -> None:
    job_id, watched = await add(database), Watched(database, monkeypatch)
    record = RecordUpdate(exists=True, claim=Claim(job_id[:8], TOKEN))
    runs = {job_id[:8]: SchedulerJob(job_id[:8], Phase.RUNNING)}
    assert [await watched.look(runs, record, NOW + timedelta(minutes=n)) for n in range(3)] == [[job_id], [], []]
    row = await row_of(database, job_id)
    assert (row["state"], row["observed_at"]) == ("running", NOW + timedelta(minutes=2))
    with database.engine.begin() as connection:
        jobs.set_attempt(connection, job_id, 1, offsets={"status.jsonl": 3})
    assert [await watched.look(runs, record) for _ in range(2)] == [[job_id], []]


async def test_whatever_is_new_about_a_quiet_job_is_decided_about(database, monkeypatch) -> None:
    job_id, watched = await add(database), Watched(database, monkeypatch)
    record = RecordUpdate(exists=True, claim=Claim(job_id[:8], TOKEN))
    runs = {job_id[:8]: SchedulerJob(job_id[:8], Phase.RUNNING)}
    assert [await watched.look(runs, record) for _ in range(2)] == [[job_id], []]
    assert await watched.look({job_id[:8]: SchedulerJob(job_id[:8], Phase.ENDING)}, record) == [job_id]
    assert await watched.look(runs, replace(record, final=final_of(job_id))) == [job_id]
    assert (await row_of(database, job_id))["state"] == "finalizing"


async def test_a_job_that_its_scheduler_does_not_show_any_more_is_decided_about_every_time(
    database, monkeypatch
) -> None:
    job_id, watched = await add(database), Watched(database, monkeypatch)
    record = RecordUpdate(exists=True, claim=Claim(job_id[:8], TOKEN))
    ended = {job_id[:8]: SchedulerJob(job_id[:8], Phase.ENDED)}
    late = NOW + timedelta(days=1)
    for shown, whole in (({}, False), ({}, False), (ended, True), (ended, True)):
        assert await watched.look(shown, record, whole=whole) == [job_id]
    assert await watched.look(ended, record, late) == [job_id]
    assert (await row_of(database, job_id))["state"] == "finalizing"
