"""How attempts are put together in the transaction that marks them as sent, and after a lost answer."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from gateway.compute.scheduler.slurm import Slurm, SlurmSettings
from gateway.db import jobs
from gateway.db.database import Database
from gateway.db.tables import attempts
from gateway.engine.arrays import Arrays
from gateway.engine.submit import Unit
from gateway.engine.waiting import After
from gateway.model.states import State

SPEC = {"target": "here", "image": None, "command": ["true"], "resources": {"walltime": 60}}


@pytest.fixture
def database(tmp_path: Path):
    made = Database(f"sqlite:///{tmp_path}/g.db")
    made.migrate()
    yield made
    made.close()


def staged(connection: Connection, index: int, **values: Any) -> str:
    """Store a staged attempt of a sweep."""
    job = str(uuid.uuid4())
    row = {"id": job, "name": "n", "state": State.STAGING, "owner": "o", "tags": {}, "target": "here", "stores": []}
    jobs.insert_job(connection, {**row, "sweep": "s", "sweep_index": index, "spec": SPEC, **values}, [])
    jobs.insert_attempt(connection, job, 1, f"gw-{index:012x}")
    jobs.set_attempt(connection, job, 1, control_folder=f"/w/.gateway/{job}/1", staged_at=jobs.now())
    return job


def form(
    connection: Connection, arrays: Arrays, ids: list[str], limit: int = 100, after: dict[str, After] | None = None
) -> list[Unit]:
    return arrays.form(connection, jobs.whole(connection, ids), after or {}, limit, jobs.now())


def shape(units: list[Unit]) -> list[int]:
    """How many tasks each unit has; 0 for one that is no array."""
    return [unit.array.tasks if unit.array else 0 for unit in units]


async def test_attempts_are_placed_by_their_index_in_the_sweep(database: Database) -> None:
    def check(connection: Connection) -> None:
        ids = [staged(connection, index) for index in (2, 0, 1)]
        (unit,) = form(connection, Arrays(Slurm(SlurmSettings(kind="slurm"))), ids)
        assert unit.array is not None
        rows = {row["id"]: row for row in jobs.whole(connection, ids)}
        assert [rows[job]["a_array_index"] for job in ids] == [3, 1, 2]
        assert {row["a_array"] for row in rows.values()} == {unit.name}
        assert all(row["a_submit_started_at"] for row in rows.values())
        assert unit.array.control_folder == f"/w/.gateway/arrays/{unit.name}"

    await database.write(check)


async def test_an_array_is_throttled_as_its_scheduler_is_configured(database: Database) -> None:
    def check(connection: Connection) -> None:
        arrays = Arrays(Slurm(SlurmSettings(kind="slurm", array_throttle=2)))
        ids = [staged(connection, index) for index in range(3)]
        (unit,) = form(connection, arrays, ids)
        assert unit.array is not None
        assert unit.array.throttle == 2
        assert [arrays.submission_for(row).throttle for row in jobs.whole(connection, ids)] == [2, 2, 2]

    await database.write(check)


async def test_chunks_have_at_most_the_limit_and_none_has_one_task(database: Database) -> None:
    def check(connection: Connection) -> None:
        ids = [staged(connection, index) for index in range(7)]
        assert shape(form(connection, Arrays(Slurm(SlurmSettings(kind="slurm"))), ids, 3)) == [3, 3, 0]
        others = [staged(connection, index) for index in range(10, 12)]
        assert shape(form(connection, Arrays(Slurm(SlurmSettings(kind="slurm"))), others, 1)) == [0, 0]

    await database.write(check)


async def test_what_the_scheduler_has_to_wait_for_goes_alone(database: Database) -> None:
    def check(connection: Connection) -> None:
        ids = [staged(connection, index) for index in range(3)]
        units = form(connection, Arrays(Slurm(SlurmSettings(kind="slurm"))), ids, after={ids[2]: After(end=("7",))})
        assert shape(units) == [2, 0]
        assert units[1].submissions[0].after_end == ("7",)

    await database.write(check)


async def test_a_lost_array_is_sent_again_as_it_was(database: Database) -> None:
    def check(connection: Connection) -> None:
        arrays = Arrays(Slurm(SlurmSettings(kind="slurm")))
        ids = [staged(connection, index) for index in range(3)]
        (first,) = form(connection, arrays, ids)
        assert form(connection, arrays, ids) == [first]
        (row, *_) = jobs.whole(connection, ids[:1])
        assert arrays.looked_for([row]) == {first.name: f"/w/.gateway/arrays/{first.name}"}
        assert arrays.task_of(row, "17") == f"17_{row['a_array_index']}"

    await database.write(check)


async def test_a_lost_array_that_may_not_be_sent_whole_is_made_anew_with_another_name(database: Database) -> None:
    def check(connection: Connection) -> None:
        arrays = Arrays(Slurm(SlurmSettings(kind="slurm")))
        ids = [staged(connection, index) for index in range(3)]
        (first,) = form(connection, arrays, ids)
        (second,) = form(connection, arrays, ids[1:])
        assert second.name != first.name
        assert shape([second]) == [2]
        # The index of the first array names a folder that its second task has left.
        rest = [ids[0], staged(connection, 3)]
        (third,) = form(connection, arrays, rest)
        assert third.name not in (first.name, second.name)

    await database.write(check)


async def test_the_tasks_of_a_refused_array_go_alone(database: Database) -> None:
    def check(connection: Connection) -> None:
        arrays = Arrays(Slurm(SlurmSettings(kind="slurm")))
        ids = [staged(connection, index) for index in range(2)]
        form(connection, arrays, ids)
        connection.execute(update(attempts).values(submit_started_at=None))
        arrays.alone |= set(ids)
        assert shape(form(connection, arrays, ids)) == [0, 0]
        assert [row["a_array"] for row in jobs.whole(connection, ids)] == [None, None]

    await database.write(check)
