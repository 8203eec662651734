"""Many jobs changed at once are changed as each would be by itself."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.db import events, jobs
from gateway.db.database import Database
from gateway.db.moves import Move, insert_attempts, move, set_attempts
from gateway.model.states import IllegalTransition, State


@pytest.fixture
def database(tmp_path: Path):
    made = Database(f"sqlite:///{tmp_path}/g.db")
    made.migrate()
    yield made
    made.close()


def job(connection: Connection, state: State) -> str:
    found = str(uuid.uuid4())
    plain: dict[str, Any] = {
        "id": found,
        "name": "n",
        "owner": "o",
        "tags": {},
        "target": "t",
        "stores": [],
        "spec": {},
    }
    jobs.insert_job(connection, {**plain, "state": state}, [])
    return found


async def test_those_in_the_state_are_moved_with_their_columns_and_events(database: Database) -> None:
    def check(connection: Connection) -> None:
        first, second, other = (job(connection, s) for s in (State.STAGING, State.STAGING, State.CANCELLED))
        seen = events.last_sequence(connection)
        wanted = [Move(found, {"scheduler_id": f"id {found}"}, {"n": 1}, {"e": 2}) for found in (first, other, second)]
        assert move(connection, State.STAGING, State.QUEUED, wanted, jobs.now()) == {first, second}
        for found in (first, second):
            row = jobs.get(connection, found)
            assert row is not None
            assert (row["state"], row["scheduler_id"], row["version"]) == ("queued", f"id {found}", 2)
        assert jobs.state_of(connection, other) is State.CANCELLED
        told = events.after(connection, seen)
        assert [row["job_id"] for row in told] == [first, second]
        assert [(row["data"], row["evidence"]) for row in told] == [
            ({"from": "staging", "to": "queued", "n": 1}, {"e": 2})
        ] * 2

    await database.write(check)


async def test_an_illegal_move_is_refused_and_none_is_nothing(database: Database) -> None:
    def check(connection: Connection) -> None:
        found = job(connection, State.SUCCEEDED)
        assert move(connection, State.STAGING, State.QUEUED, [], jobs.now()) == set()
        with pytest.raises(IllegalTransition):
            move(connection, State.SUCCEEDED, State.QUEUED, [Move(found)], jobs.now())

    await database.write(check)


async def test_attempts_are_stored_and_changed_together(database: Database) -> None:
    def check(connection: Connection) -> None:
        ids = [job(connection, State.STAGING) for _ in range(2)]
        insert_attempts(connection, [(found, 1, f"gw-{number:012x}") for number, found in enumerate(ids)], jobs.now())
        set_attempts(connection, [(found, 1, {"scheduler_id": found[:4]}) for found in ids])
        set_attempts(connection, [])
        insert_attempts(connection, [], jobs.now())
        for number, found in enumerate(ids):
            row = jobs.get_attempt(connection, found, 1)
            assert row is not None
            assert (row["submission"], row["scheduler_id"], row["offsets"]) == (f"gw-{number:012x}", found[:4], {})

    await database.write(check)
