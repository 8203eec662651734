"""Jobs in the database: one event a change, legal changes only, order without gaps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gateway.db import events, job_lists, jobs, tables
from gateway.db.database import Database
from gateway.model.states import IllegalTransition, State

JOB = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path}/g.db")
    found.migrate()
    yield found
    found.close()


def _insert(database: Database, job_id: str = JOB, **values: object) -> None:
    row = {
        "id": job_id,
        "name": "x",
        "state": State.ACCEPTED,
        "owner": "alice",
        "tags": {},
        "target": "t",
        "stores": [],
        "spec": {"command": ["true"]},
        **values,
    }
    with database.engine.begin() as connection:
        jobs.insert_job(connection, row, [])


def test_the_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    with database.engine.begin() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, tables.jobs.metadata) == []


def test_each_change_of_state_is_one_event_with_its_evidence(database: Database) -> None:
    _insert(database)
    with database.engine.begin() as connection:
        jobs.change_state(connection, JOB, State.STAGING)
        assert jobs.change_state(connection, JOB, State.QUEUED, evidence={"id": "7"}, scheduler_id="7")
        assert not jobs.change_state(connection, JOB, State.QUEUED)
    with database.engine.begin() as connection:
        found = events.after(connection, 0)
        row = jobs.get(connection, JOB)
    assert [(e["data"]["from"], e["data"]["to"]) for e in found] == [
        (None, "accepted"),
        ("accepted", "staging"),
        ("staging", "queued"),
    ]
    assert [e["sequence"] for e in found] == [1, 2, 3]
    assert found[2]["evidence"] == {"id": "7"}
    assert row is not None
    assert (row["state"], row["version"], row["scheduler_id"]) == ("queued", 3, "7")


def test_an_illegal_change_writes_nothing(database: Database) -> None:
    _insert(database)
    with pytest.raises(IllegalTransition), database.engine.begin() as connection:
        jobs.set_columns(connection, JOB, message="half")
        jobs.change_state(connection, JOB, State.SUCCEEDED)
    with database.engine.begin() as connection:
        row = jobs.get(connection, JOB)
        assert row is not None
        assert (row["state"], row["message"]) == ("accepted", None)
        assert len(events.after(connection, 0)) == 1


def test_unknown_keeps_the_state_before_it(database: Database) -> None:
    _insert(database)
    with database.engine.begin() as connection:
        for state in (State.STAGING, State.QUEUED, State.RUNNING, State.UNKNOWN):
            jobs.change_state(connection, JOB, state)
        row = jobs.get(connection, JOB)
        assert row is not None
        assert row["last_state"] == "running"
        jobs.change_state(connection, JOB, State.RUNNING)
        row = jobs.get(connection, JOB)
        assert row is not None
        assert row["last_state"] is None


def test_sequences_of_writers_in_parallel_have_no_gap_and_no_repeat(database: Database) -> None:
    _insert(database)

    def work() -> None:
        for _ in range(25):
            with database.engine.begin() as connection:
                events.append(connection, JOB, "alice", "note", {}, at=jobs.now())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.engine.begin() as connection:
        found = [e["sequence"] for e in events.after(connection, 0, limit=1000)]
        assert events.last_sequence(connection) == 101
    assert found == list(range(1, 102))


def test_a_filter_by_tag_matches_the_whole_value(database: Database) -> None:
    for number, tags in enumerate([{"study": "re"}, {"study": "re-scan"}, {"other": "re"}, {}]):
        _insert(database, f"{number}1111111-1111-4111-8111-111111111111", tags=tags)
    with database.engine.begin() as connection:
        exact = job_lists.page(connection, job_lists.JobFilter(tag=("study", "re")), limit=10)
        named = job_lists.page(connection, job_lists.JobFilter(tag=("study", None)), limit=10)
    assert [row["id"][0] for row in exact] == ["0"]
    assert [row["id"][0] for row in named] == ["1", "0"]
