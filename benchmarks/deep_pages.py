"""Pages far down a long list.

100,000 jobs of one person are stored: page 1,000 of 50 jobs, newest first, from the query on SQLite to the JSON that is
answered; no page is kept. The baseline is page 1 of the same list: a page costs what is on it, not what is before it.
Once of all jobs, once by name, and once of those in one state, which are a tenth.
"""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from benchmarks.measure import Comparison, rounds
from benchmarks.samples import BODY
from benchmarks.servers import new_database
from gateway.app import person
from gateway.db import tables
from gateway.db.database import Database
from gateway.db.job_lists import JobFilter, Sort, place_of
from gateway.db.jobs import now
from gateway.jobs.lists import list_jobs, write_cursor
from gateway.model.specification import JobSpecification
from gateway.model.states import State

JOBS, LIMIT, PAGE = 100_000, 50, 1000
RUNS = 10


def fill(connection: Connection, count: int = JOBS) -> None:
    """Insert jobs of one person that have ended."""
    specification = JobSpecification.model_validate(BODY).model_dump(mode="json")
    begin = now() - timedelta(days=30)
    common = {"version": 1, "owner": person(), "tags": {"study": "re-scan"}, "target": "local", "stores": ["local"]}
    common |= {"attempt": 1, "spec": specification, "lane": "local"}
    store = {"store": "local", "position": 0, "transfer": "push", "state": "none", "count": 0, "bytes": 0, "tries": 0}
    for start in range(0, count, 5000):
        rows: list[dict[str, Any]] = [
            {
                **common,
                "id": str(uuid.uuid4()),
                "name": f"cavity {number:06d}",
                "state": str(State.FAILED if number % 10 == 0 else State.SUCCEEDED),
                "created_at": begin + timedelta(seconds=number),
            }
            for number in range(start, start + 5000)
        ]
        connection.execute(insert(tables.jobs), rows)
        connection.execute(insert(tables.job_stores), [{**store, "job_id": row["id"]} for row in rows])


async def _cursor_of(database: Database, wanted: JobFilter, sort: Sort, page: int) -> str:
    """Return the cursor that the page before `page` ends with."""
    column = tables.jobs.c[sort.column]
    order = [key.desc() if sort.descending else key for key in (column, tables.jobs.c.created_at, tables.jobs.c.id)]
    query = select(tables.jobs).where(*wanted.conditions()).order_by(*order).offset((page - 1) * LIMIT - 1).limit(1)
    return await database.read(lambda c: write_cursor(sort, place_of(c.execute(query).mappings().one(), sort)))


def _reads(database: Database, wanted: JobFilter, sort: Sort, cursor: str | None) -> Callable[[], Awaitable[float]]:
    async def read() -> float:
        begin = time.perf_counter()
        for _ in range(RUNS):
            page = await list_jobs(database, wanted, sort=sort, limit=LIMIT, cursor=cursor)
            assert len(page.items) == LIMIT
            page.model_dump_json()
        return (time.perf_counter() - begin) / RUNS

    return read


async def run() -> list[Comparison]:
    """Measure."""
    mine = partial(JobFilter, owner=person())
    lists = (
        ("newest first", mine(), Sort(), PAGE),
        ("by name", mine(), Sort("name", descending=False), PAGE),
        ("failed only", mine(states=(State.FAILED,)), Sort(), JOBS // LIMIT // 10 - 1),
    )
    found = []
    with tempfile.TemporaryDirectory() as folder:
        database = new_database(Path(folder))
        await database.write(fill)
        for what, wanted, sort, page in lists:
            cursor = await _cursor_of(database, wanted, sort, page)
            deep, first = await rounds(
                _reads(database, wanted, sort, cursor), _reads(database, wanted, sort, None), repeats=3
            )
            found.append(Comparison(f"page {page:,} of {JOBS:,} jobs, {what}", "page 1", 1, "page", deep, first))
        database.close()
    return found
