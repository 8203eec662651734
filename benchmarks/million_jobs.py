"""Lists over a million jobs.

A database with 1,000,000 ended and 10,000 live jobs of five people, on SQLite and on PostgreSQL. Pages of 50 jobs, from
the query to the JSON that is answered, no page kept: every order, every filter, first pages and pages far down. Each is
measured with half a dozen values in turn; the figure is the 99th percentile, and the baseline what is wanted: 30 ms.
"""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, select, text

from benchmarks.measure import Comparison
from benchmarks.samples import BODY
from gateway.app import person
from gateway.db import tables
from gateway.db.database import Database
from gateway.db.job_lists import NEWEST_FIRST, SORTS, JobFilter, Sort, place_of
from gateway.jobs.configured import make_data_folder
from gateway.jobs.lists import list_jobs, write_cursor
from gateway.model.specification import JobSpecification
from gateway.model.states import State
from testbed.postgres import Postgres

ENDED, LIVE, LIMIT, DEEP = 1_000_000, 10_000, 50, 200_000
BOUND = 0.030
ROUNDS = 20
"""Pages of each kind; every one is another."""
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)

NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last}) ",
    "postgresql": "WITH n AS (SELECT generate_series(CAST(0 AS bigint), {last}) AS i) ",
}
_IDS = {
    "sqlite": "printf('%08x-0000-4000-a000-%012x', (i * 2654435761) % 4294967296, i)",
    "postgresql": (
        "lpad(to_hex((i::bigint * 2654435761) % 4294967296), 8, '0') || '-0000-4000-a000-' || lpad(to_hex(i), 12, '0')"
    ),
}
_FILL = {
    "jobs": (
        """(id, version, name, state, reason, owner, "case", sweep, sweep_index, tags, target, stores, attempt,
            created_at, queued_at, started_at, ended_at, spec, lane, hold)
        SELECT {id}, 5, 'cavity Re=' || (i * 7919 % 100003), CASE
            WHEN i > {ended} THEN CASE i % 4 WHEN 0 THEN 'queued' ELSE 'running' END
            WHEN i % 20 = 0 THEN 'cancelled' WHEN i % 7 = 0 THEN 'failed' ELSE 'succeeded' END,
            CASE WHEN i % 7 = 0 THEN 'exit_code' END,
            CASE WHEN i % 10 < 6 THEN :me ELSE 'person' || (i % 4) END,
            CASE i % 3 WHEN 0 THEN 'cavity' WHEN 1 THEN 'stirred-tank' END,
            CASE WHEN i / 100 % 4 = 0 THEN 'sweep-' || (i / 100) END, CASE WHEN i / 100 % 4 = 0 THEN i % 100 END,
            '{{"study": "s' || (i / 1000 % 100) || '", "solver": "ico"}}', 'cluster' || (i % 4), '["results"]', 1,
            {begin} + i * 60000000, {begin} + i * 60000000 + 1000000,
            CASE WHEN i % 30 > 0 THEN {begin} + i * 60000000 + 30000000 + i % 977 * 1000000 END,
            CASE WHEN i <= {ended} THEN {begin} + i * 60000000 + 90000000 + i % 7919 * 1000000 END,
            :spec, 'cluster' || (i % 4), {false} FROM n"""
    ),
    "attempts": (
        """(job_id, number, submission, scheduler_id, control_folder, job_folder, created_at, submitted_at, offsets,
            script)
        SELECT {id}, 1, 'gw-' || i, '' || i, '/s/.gateway/' || i || '/1', '/s/' || i, {begin}, {begin}, '{{}}',
            :script FROM n"""
    ),
    "job_stores": (
        """(job_id, store, position, transfer, state, count, bytes, tries)
        SELECT {id}, 'results', 0, 'push', 'complete', 3, 1000, 0 FROM n"""
    ),
    "events": (
        """(sequence, job_id, owner, at, kind, data)
        SELECT i + 1, {id}, :me, {begin} + i * 60000000, 'state', '{{"from": "finalizing", "to": "succeeded"}}'
        FROM n"""
    ),
}


def _fill(connection: Connection, ended: int) -> None:
    """Make the rows inside the database."""
    dialect = connection.dialect.name
    last = ended + LIVE - 1
    words = {"id": _IDS[dialect], "ended": ended, "false": "0" if dialect == "sqlite" else "false"}
    words["begin"] = int(BEGIN.timestamp()) * 1_000_000
    values = {"me": person(), "spec": json.dumps(JobSpecification.model_validate(BODY).model_dump(mode="json"))}
    values["script"] = "# a line of a script that is not long\n" * 50
    for table, query in _FILL.items():
        numbers, text_ = NUMBERS[dialect].format(last=last), query.format(**words)
        # SQLite wants the numbers before, PostgreSQL takes them there too.
        columns, _, rows = text_.partition("SELECT")
        if dialect == "postgresql":
            rows = rows.replace(":spec", "CAST(:spec AS json)").replace(
                "'[\"results\"]'", "CAST('[\"results\"]' AS json)"
            )
            rows = (
                rows.replace("'{}'", "CAST('{}' AS json)").replace("\"}'", "\"}' ::json") if table != "jobs" else rows
            )
            if table == "jobs":
                rows = rows.replace('\'{"study"', 'CAST(\'{"study"').replace('"ico"}\'', '"ico"}\' AS json)')
        bound = {name: value for name, value in values.items() if f":{name}" in rows}
        connection.execute(
            text(f"INSERT INTO {table} {columns} {numbers} SELECT {rows}".replace("::", "\\:\\:")), bound
        )
    connection.execute(text("UPDATE counters SET value = :last WHERE name = 'events'"), {"last": last + 1})


@dataclass(frozen=True)
class Kind:
    """Pages that are measured together: what they are narrowed to, and their order."""

    name: str
    filters: Sequence[JobFilter]
    sort: Sort = NEWEST_FIRST


def _kinds(ended: int) -> list[Kind]:
    mine, all_ = JobFilter(owner=person()), JobFilter()
    at = [BEGIN + timedelta(minutes=ended * part / 7) for part in range(1, 7)]
    states = [(State.SUCCEEDED,), (State.FAILED,), (State.RUNNING,), (State.LOST,), (State.QUEUED, State.RUNNING)]
    found = [Kind(f"order {sort}", [mine], Sort.parse(sort)) for sort in SORTS]
    found += [Kind(f"everybody's, order {sort}", [all_], Sort.parse(sort)) for sort in SORTS]
    found += [
        Kind("state", [replace(mine, states=state) for state in states]),
        Kind("state, everybody's", [replace(all_, states=state) for state in states]),
        Kind("state and target", [replace(mine, states=state, target="cluster3") for state in states]),
        Kind("state, order -ended_at", [replace(mine, states=state) for state in states], Sort("ended_at")),
        Kind("target", [replace(mine, target=f"cluster{n}") for n in range(5)]),
        Kind("case", [replace(mine, case=case) for case in ("cavity", "stirred-tank", "none")]),
        Kind("sweep", [replace(mine, sweep=f"sweep-{n * 400}") for n in range(5)], Sort("sweep_index", False)),
        Kind("owner", [replace(all_, owner=f"person{n}") for n in range(5)]),
        Kind("created between", [replace(mine, created_after=a, created_before=a + timedelta(days=9)) for a in at]),
        Kind("ended between", [replace(mine, ended_after=a, ended_before=a + timedelta(days=9)) for a in at]),
        Kind("tag", [replace(mine, tag=("study", f"s{n}")) for n in (0, 3, 42, 99, 100)]),
        Kind("tag, any value", [replace(mine, tag=(name, None)) for name in ("study", "solver", "nobody")]),
        Kind("q, often", [replace(mine, text=words) for words in ("cavity", "re=1", "99")]),
        Kind("q, seldom", [replace(mine, text=words) for words in ("re=100002", "Re=4711", "nothing at all")]),
    ]
    return found


async def _pages(database: Database, kind: Kind) -> list[float]:
    """Read the first pages and pages far down, and return the seconds of each."""
    found = []
    for number in range(ROUNDS):
        wanted = kind.filters[number % len(kind.filters)]
        cursor = None
        if number % 2:
            cursor = await _deep(database, wanted, kind.sort, random.randrange(DEEP))
        begin = time.perf_counter()
        for _ in range(4 if number < 4 else 1):  # some pages in a row
            page = await list_jobs(database, wanted, sort=kind.sort, limit=LIMIT, cursor=cursor)
            page.model_dump_json()
            found.append(time.perf_counter() - begin)
            begin, cursor = time.perf_counter(), page.next_cursor
            if cursor is None:
                break
        if number < 2:
            found.clear()  # statements are put together when they are sent for the first time
    return found


async def _deep(database: Database, wanted: JobFilter, sort: Sort, row: int) -> str | None:
    """Return a cursor of a job somewhere in the list."""
    if wanted.owner is None:
        wanted = replace(wanted, owner=person())
    column = tables.jobs.c[sort.column]
    order = [key.desc() if sort.descending else key for key in (column, tables.jobs.c.created_at, tables.jobs.c.id)]
    query = select(tables.jobs).where(tables.jobs.c.owner == wanted.owner, column.is_not(None)).order_by(*order)
    found = await database.read(lambda c: c.execute(query.offset(row).limit(1)).mappings().one_or_none())
    return write_cursor(sort, place_of(found, sort)) if found is not None else None


@contextlib.contextmanager
def databases(folder: Path) -> Iterator[list[tuple[str, str]]]:
    """Yield names and URLs of an empty SQLite and an empty PostgreSQL database."""
    make_data_folder(folder)
    with Postgres() as server:
        yield [("SQLite", f"sqlite:///{folder}/gateway.db"), ("PostgreSQL", server.make_database())]


async def run(ended: int = ENDED) -> list[Comparison]:
    """Measure."""
    found = []
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as urls:
        for name, url in urls:
            database = Database(url)
            database.migrate()
            await database.write(lambda c: _fill(c, ended))
            if not database.is_sqlite:
                await database.write(lambda c: c.execute(text("ANALYZE")))
            for kind in _kinds(ended):
                seconds = sorted(await _pages(database, kind))
                late = seconds[int(len(seconds) * 0.99)]
                found.append(Comparison(f"{name}: {kind.name}", "what is wanted", 1, "page", [late], [BOUND]))
            database.close()
    return found
