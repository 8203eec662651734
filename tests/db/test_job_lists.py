"""Lists of jobs: filters, orders, pages that stay right, and the indices that serve them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, insert

from gateway.db.database import Database
from gateway.db.job_lists import SORTS, JobFilter, PlaceInList, Sort, page
from gateway.db.tables import jobs
from gateway.model.states import State

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path_factory.mktemp('lists')}/g.db")
    found.migrate()
    yield found
    found.close()


def add(connection: Connection, owner: str, number: int, **values: Any) -> str:
    """Insert a job `number` minutes after the start; return its id."""
    job_id = str(uuid.uuid4())
    row = {
        "id": job_id,
        "version": 1,
        "name": "x",
        "state": "accepted",
        "owner": owner,
        "tags": {},
        "target": "t",
        "stores": [],
        "attempt": 1,
        "created_at": START + number * MINUTE,
        "spec": {},
        **values,
    }
    connection.execute(insert(jobs).values(row))
    return job_id


def place(row: Any, sort: Sort) -> PlaceInList:
    return PlaceInList(row[sort.column], row["created_at"], row["id"])


few_moments = st.integers(0, 3).map(lambda number: START + number * MINUTE)
rows = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "B", "b", "ä", ""]),
        "state": st.sampled_from([str(state) for state in State]),
        "target": st.sampled_from(["here", "there"]),
        "case": st.sampled_from([None, "cavity", "tank"]),
        "created_at": few_moments,
        "started_at": st.none() | few_moments,
        "ended_at": st.none() | few_moments,
        "sweep_index": st.none() | st.integers(0, 3),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    old=st.lists(rows, max_size=12),
    limit=st.integers(1, 4),
    coming=st.lists(st.lists(rows, max_size=3), max_size=8),
    name=st.sampled_from(SORTS),
)
def test_pages_hold_each_old_job_once_and_in_order_whatever_is_inserted_between_them(
    database: Database,
    old: list[dict[str, Any]],
    limit: int,
    coming: list[list[dict[str, Any]]],
    name: str,
) -> None:
    owner, sort = uuid.uuid4().hex, Sort.parse(name)
    with database.engine.begin() as connection:
        mine = [add(connection, owner, 0, **values) for values in old]
    seen: list[Any] = []
    after = None
    newcomers = iter(coming)
    while True:
        with database.engine.begin() as connection:
            found = page(connection, JobFilter(owner=owner), limit=limit, sort=sort, after=after)
            assert len(found) <= limit
            seen += found
            for values in next(newcomers, []):
                add(connection, owner, 0, **values)
        if len(found) < limit:
            break
        after = place(found[-1], sort)
    ids = [row["id"] for row in seen]
    assert len(ids) == len(set(ids))
    assert set(mine) <= set(ids)
    with_value = [row for row in seen if row[sort.column] is not None]
    without = [row for row in seen if row[sort.column] is None]
    assert seen == with_value + without
    for part in (with_value, without):
        keys = [("" if row[sort.column] is None else row[sort.column], row["created_at"], row["id"]) for row in part]
        assert keys == sorted(keys, reverse=sort.descending)


def plans(database: Database, wanted: JobFilter, **how: Any) -> list[str]:
    """What SQLite says it does for a page."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        with database.engine.begin() as connection:
            page(connection, wanted, limit=50, **how)
            asked = [(text, values) for text, values in statements if text.startswith("SELECT")]
            return [
                row[3]
                for text, values in asked
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
            ]
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


ID = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("wanted", "sort", "index"),
    [
        (JobFilter(owner="a"), "-created_at", "ix_jobs_owner_created"),
        (JobFilter(owner="a"), "created_at", "ix_jobs_owner_created"),
        (JobFilter(owner="a", states=(State.RUNNING, State.QUEUED)), "-created_at", "ix_jobs_owner_created"),
        (JobFilter(owner="a", created_after=START), "-created_at", "ix_jobs_owner_created"),
        (JobFilter(owner="a"), "-ended_at", "ix_jobs_owner_ended"),
        (JobFilter(owner="a"), "ended_at", "ix_jobs_owner_ended"),
        (JobFilter(), "-created_at", "ix_jobs_created"),
    ],
)
def test_the_common_lists_follow_an_index_from_where_the_page_before_ended(
    database: Database, wanted: JobFilter, sort: str, index: str
) -> None:
    for after in (None, PlaceInList(START, START, ID)):
        found = plans(database, wanted, sort=Sort.parse(sort), after=after)
        assert found
        for step in found:
            assert index in step
            assert "TEMP B-TREE" not in step
            assert step.startswith("SEARCH") or (wanted.owner is None and after is None)


def test_every_filter_keeps_what_it_names_and_nothing_else(database: Database) -> None:
    owner = uuid.uuid4().hex
    with database.engine.begin() as connection:
        one = add(connection, owner, 0, name="Über 100%", case="cavity", notes="see Page_7", state="succeeded")
        two = add(connection, owner, 1, target="far", sweep=ID, ended_at=START + 5 * MINUTE, state="failed")
        add(connection, f"{owner}x", 0)

        def found(**wanted: Any) -> list[str]:
            return [row["id"] for row in page(connection, JobFilter(owner=owner, **wanted), limit=10)]

        assert found() == [two, one]
        assert found(states=(State.SUCCEEDED, State.RUNNING)) == [one]
        assert found(case="cavity") == [one]
        assert found(sweep=ID) == [two]
        assert found(target="far") == [two]
        assert found(created_after=START + MINUTE) == [two]
        assert found(created_before=START + MINUTE) == [one]
        assert found(created_after=START, created_before=START) == []
        assert found(ended_after=START) == [two]
        assert found(ended_before=START + 5 * MINUTE) == []
        for text in ("Über", "ER 100%", "page_7", one[:8], one[:8].upper()):
            assert found(text=text) == [one]
        for text in ("100_", "page%7", one[1:9]):
            assert found(text=text) == []
        assert page(connection, JobFilter(), limit=500) != []


def test_only_orders_that_have_a_name_can_be_asked_for() -> None:
    assert [str(Sort.parse(name)) for name in SORTS] == list(SORTS)
    with pytest.raises(ValueError, match="spec"):
        Sort.parse("-spec")
