"""The rows that a loop of the engine reads again and again: never older than the database."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.db import arrays, jobs, moves, reconciling
from gateway.db.database import Database
from gateway.db.live_rows import LiveRows
from gateway.model.states import State

LANE = "t"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path}/g.db")
    found.migrate()
    yield found
    found.close()


def add(connection: Connection, *, lane: str = LANE, tried: bool = True) -> str:
    job_id = str(uuid.uuid4())
    values = {"id": job_id, "name": "x", "state": State.ACCEPTED, "owner": "alice", "tags": {}, "target": lane}
    stores = [jobs.NewStore("folder", None, "push")]
    jobs.insert_job(connection, {**values, "stores": ["folder"], "spec": {"command": ["true"]}}, stores)
    if tried:
        jobs.insert_attempt(connection, job_id, 1, f"gw-{uuid.uuid4().hex[:12]}")
    return job_id


def read(database: Database, rows: LiveRows) -> dict[str, Any]:
    with database.engine.connect() as connection:
        return {row["id"]: row for row in rows.read(connection)}


CHANGES: dict[str, Callable[[Connection, str], object]] = {
    "its state": lambda c, job_id: jobs.change_state(c, job_id, State.STAGING),
    "its columns": lambda c, job_id: jobs.set_columns(c, job_id, cancel_requested_at=datetime.now(UTC)),
    "its message": lambda c, job_id: jobs.explain(c, job_id, State.ACCEPTED, "waits"),
    "its attempt": lambda c, job_id: jobs.set_attempt(c, job_id, 1, offsets={"status.jsonl": 7}),
    "its attempt, with others": lambda c, job_id: moves.set_attempts(
        c, [(job_id, 1, {"staged_at": datetime.now(UTC)})]
    ),
    "its state, with others": lambda c, job_id: moves.move(
        c, State.ACCEPTED, State.STAGING, [moves.Move(job_id)], datetime.now(UTC)
    ),
    "its place in an array": lambda c, job_id: arrays.mark_sent(c, [(job_id, 1, "gw-array", 3)], datetime.now(UTC)),
    "its stores": lambda c, job_id: reconciling.add_store(c, job_id, "another"),
    "the number of its attempt": lambda c, job_id: (
        jobs.insert_attempt(c, job_id, 2, "gw-another"),
        jobs.set_columns(c, job_id, attempt=2),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_row_is_read_again_after_every_kind_of_change_and_the_others_are_not(database: Database, what: str) -> None:
    rows = LiveRows(LANE)
    with database.engine.begin() as connection:
        ids = [add(connection) for _ in range(9)]
    before = read(database, rows)
    with database.engine.begin() as connection:
        CHANGES[what](connection, ids[4])
    after = read(database, rows)
    assert list(after) == ids
    assert [job_id for job_id in ids if after[job_id] is not before[job_id]] == [ids[4]]
    assert dict(after[ids[4]]) != dict(before[ids[4]])


def test_that_a_target_answered_changes_no_row_of_those_that_are_driven(database: Database) -> None:
    rows = LiveRows(LANE)
    with database.engine.begin() as connection:
        job_id = add(connection)
    before = read(database, rows)
    with database.engine.begin() as connection:
        jobs.observe(connection, [job_id], datetime.now(UTC))
    assert read(database, rows)[job_id] is before[job_id]


def test_an_attempt_that_comes_later_is_seen(database: Database) -> None:
    rows = LiveRows(LANE)
    with database.engine.begin() as connection:
        job_id = add(connection, tried=False)
    assert read(database, rows)[job_id]["a_submission"] is None
    with database.engine.begin() as connection:
        jobs.insert_attempt(connection, job_id, 1, "gw-1")
    assert read(database, rows)[job_id]["a_submission"] == "gw-1"


@pytest.mark.parametrize("seed", range(5))
def test_whatever_changes_in_between_the_rows_are_those_of_a_reading_from_nothing(
    database: Database, seed: int
) -> None:
    chance, rows = random.Random(seed), LiveRows(LANE)
    ids: list[str] = []
    steps = {State.ACCEPTED: State.STAGING, State.STAGING: State.QUEUED, State.QUEUED: State.RUNNING}
    steps |= {State.RUNNING: State.FINALIZING, State.FINALIZING: State.FAILED}
    for _ in range(40):
        with database.engine.begin() as connection:
            for _ in range(chance.randrange(4)):
                ids.append(add(connection, lane=chance.choice([LANE, LANE, "other"])))
            for job_id in chance.sample(ids, min(len(ids), chance.randrange(5))):
                state = jobs.state_of(connection, job_id)
                if state is None:
                    continue
                match chance.randrange(4):
                    case 0:
                        jobs.delete(connection, job_id)
                    case 1:
                        jobs.set_attempt(connection, job_id, 1, token=uuid.uuid4().hex)
                    case 2:
                        jobs.set_columns(connection, job_id, lane=chance.choice([LANE, "other"]))
                    case _ if state in steps:
                        jobs.change_state(connection, job_id, steps[state])
        with database.engine.connect() as connection:
            wanted = [dict(row) for row in jobs.live(connection, LANE)]
            assert [dict(row) for row in rows.read(connection)] == wanted


def test_where_most_rows_have_changed_they_are_read_together(database: Database) -> None:
    rows = LiveRows(LANE)
    with database.engine.begin() as connection:
        ids = [add(connection) for _ in range(5)]
    assert list(read(database, rows)) == ids
    with database.engine.begin() as connection:
        for job_id in ids[:3]:
            jobs.set_columns(connection, job_id, hold=True)
    assert [row["hold"] for row in read(database, rows).values()] == [True, True, True, False, False]
