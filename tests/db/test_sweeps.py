"""Sweeps in the database: how many jobs may start, and cancelling all of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, RowMapping

from gateway.db import events, jobs, sweeps
from gateway.db.database import Database
from gateway.db.jobs import NewStore
from gateway.model.states import State

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/gateway.db")
    made.migrate()
    yield made
    made.close()


def job(sweep: str, index: int, **values: Any) -> dict[str, Any]:
    row = {"id": str(uuid.uuid4()), "name": "j", "state": "accepted", "owner": "me", "tags": {}, "target": "t"}
    return {**row, "stores": ["s"], "spec": {}, "lane": f"t{index % 2}", "sweep": sweep, "sweep_index": index, **values}


async def make(database: Database, count: int, limit: int | None) -> str:
    sweep_id = str(uuid.uuid4())
    row = {"id": sweep_id, "name": "s", "owner": "me", "target": "t", "spec": {}, "points": [{}] * count}
    row |= {"count": count, "limit": limit, "created_at": AT}
    children = [(job(sweep_id, index), (NewStore("s", None, "auto"),)) for index in range(count)]
    await database.write(lambda c: sweeps.add(c, row, children))
    return sweep_id


def accepted(connection: Connection, lane: str) -> list[RowMapping]:
    return [row for row in jobs.live(connection, lane) if row["state"] == State.ACCEPTED]


async def held(database: Database, lane: str) -> list[int]:
    """Indexes of the jobs of a lane that have to wait."""

    def read(connection: Connection) -> list[int]:
        rows = accepted(connection, lane)
        late = sweeps.held_back(connection, rows)
        return sorted(row["sweep_index"] for row in rows if row["id"] in late)

    return await database.read(read)


async def begin(database: Database, lane: str) -> list[int]:
    """Do what the engine does: let those start that may."""

    def write(connection: Connection) -> list[int]:
        rows = accepted(connection, lane)
        late = sweeps.held_back(connection, rows)
        begun = [row for row in rows if row["id"] not in late]
        for row in begun:
            jobs.insert_attempt(connection, row["id"], 1, f"gw-{row['id'][:12]}")
            jobs.change_state(connection, row["id"], State.STAGING)
        return sorted(row["sweep_index"] for row in begun)

    return await database.write(write)


async def test_no_more_jobs_start_than_the_limit_in_all_lanes_together(database: Database) -> None:
    sweep_id = await make(database, 10, 3)
    assert await held(database, "t0") == [6, 8]
    assert await begin(database, "t0") == [0, 2, 4]
    assert await begin(database, "t1") == []
    first = (await database.read(lambda c: sweeps.children(c, sweep_id)))[0]["id"]
    await database.write(lambda c: jobs.change_state(c, first, State.FAILED))
    assert await begin(database, "t1") == [1]
    assert await held(database, "t0") == [6, 8]


async def test_a_sweep_without_a_limit_starts_at_once(database: Database) -> None:
    await make(database, 4, None)
    assert await begin(database, "t0") == [0, 2]


async def test_jobs_are_created_in_the_order_of_their_points(database: Database) -> None:
    sweep_id = await make(database, 5, None)
    rows = await database.read(lambda c: sweeps.children(c, sweep_id))
    assert [row["sweep_index"] for row in rows] == [0, 1, 2, 3, 4]
    moments = [row["created_at"] for row in rows]
    assert moments == sorted(moments)
    assert len(set(moments)) == 5
    told = await database.read(lambda c: events.after(c, 0))
    assert [event["sequence"] for event in told] == list(range(told[0]["sequence"], told[0]["sequence"] + 5))
    assert [event["job_id"] for event in told] == [row["id"] for row in rows]


async def test_cancelling_ends_what_has_not_begun_and_asks_the_others(database: Database) -> None:
    sweep_id = await make(database, 1200, 3)
    await begin(database, "t0")
    before = await database.read(events.last_sequence)
    lanes = await database.write(lambda c: sweeps.cancel(c, sweep_id, "me", AT))
    assert lanes == {"t0", "t1"}
    counts = (await database.read(lambda c: sweeps.counts(c, [sweep_id])))[sweep_id]
    assert counts == {"staging": 3, "cancelled": 1197}
    rows = await database.read(lambda c: sweeps.children(c, sweep_id))
    assert {row["cancel_requested_at"] for row in rows} == {AT}
    assert {row["reason"] for row in rows if row["state"] == "cancelled"} == {"cancelled_by_user"}
    told = await database.read(lambda c: events.after(c, before, limit=5000))
    assert [event["kind"] for event in told].count("cancel_requested") == 1200
    assert [event["data"]["to"] for event in told if event["kind"] == "state"] == ["cancelled"] * 1197
    assert await database.write(lambda c: sweeps.cancel(c, sweep_id, "me", AT)) == {"t0"}
    assert await database.read(events.last_sequence) == told[-1]["sequence"]
