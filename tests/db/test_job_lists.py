"""Lists of jobs: filters, orders, pages that stay right, and the indices that serve them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, insert, select

from gateway.db import job_lists
from gateway.db.database import Database
from gateway.db.job_lists import SORTS, JobFilter, PlaceInList, Sort, page, search
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
        (JobFilter(owner="a", states=(State.RUNNING, State.QUEUED)), "-created_at", "ix_jobs_owner_state"),
        (JobFilter(owner="a", states=(State.FAILED,)), "-created_at", "ix_jobs_owner_state"),
        (JobFilter(owner="a", target="t"), "-created_at", "ix_jobs_owner_target"),
        (JobFilter(owner="a", case="c"), "created_at", "ix_jobs_owner_case"),
        (JobFilter(owner="a"), "-name", "ix_jobs_owner_name"),
        (JobFilter(owner="a"), "-state", "ix_jobs_owner_state"),
        (JobFilter(owner="a"), "target", "ix_jobs_owner_target"),
        (JobFilter(owner="a"), "-case", "ix_jobs_owner_case"),
        (JobFilter(owner="a"), "-started_at", "ix_jobs_owner_started"),
        (JobFilter(owner="a"), "sweep_index", "ix_jobs_owner_sweep_index"),
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
        found = [step for step in plans(database, wanted, sort=Sort.parse(sort), after=after) if " jobs " in step]
        assert found
        for step in found:
            assert index in step
            assert "TEMP B-TREE" not in step
            assert step.startswith("SEARCH") or (wanted.owner is None and after is None)


FILTERS: list[dict[str, Any]] = [
    {},
    {"states": (State.FAILED,)},
    {"states": (State.FAILED, State.RUNNING)},
    {"states": (State.FAILED,), "target": "far"},
    {"target": "far", "case": "cavity"},
    {"tag": ("study", "s3")},
    {"text": "7"},
    {"ended_after": START + 20 * MINUTE, "ended_before": START + 60 * MINUTE},
    {"created_after": START + 20 * MINUTE, "created_before": START + 60 * MINUTE},
]


@pytest.mark.parametrize("name", ["-created_at", "created_at", "-ended_at", "name", "state"])
@pytest.mark.parametrize("wanted", FILTERS, ids=str)
@pytest.mark.parametrize("everybody", [False, True])
def test_a_search_finds_step_by_step_what_one_query_finds(
    filled: Database, monkeypatch: pytest.MonkeyPatch, name: str, wanted: dict[str, Any], everybody: bool
) -> None:
    monkeypatch.setattr(job_lists, "FIRST_STEP", 7)
    sort, narrowed = Sort.parse(name), JobFilter(owner=None if everybody else "person1", **wanted)
    with filled.engine.begin() as connection:
        query = select(jobs.c.id, jobs.c[sort.column].label("value"), jobs.c.created_at).where(*narrowed.conditions())
        rows = list(connection.execute(query))
        found, after, pages = [], None, 0
        while pages == 0 or after is not None:
            some, after = search(connection, narrowed, limit=10, seconds=0.0, sort=sort, after=after)
            assert len(some) <= 10
            found += [row["id"] for row in some]
            pages += 1
    have = sorted((row for row in rows if row.value is not None), key=lambda row: (row.value, row.created_at, row.id))
    have_not = sorted((row for row in rows if row.value is None), key=lambda row: (row.created_at, row.id))
    step = -1 if sort.descending else 1
    assert found == [row.id for row in [*have[::step], *have_not[::step]]]


def test_a_search_whose_time_is_over_says_where_it_goes_on(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_lists, "FIRST_STEP", 10)
    nothing = JobFilter(owner="person1", text="nobody has that")
    with filled.engine.begin() as connection:
        rows, place = search(connection, nothing, limit=10, seconds=0.0)
        assert rows == []
        assert place is not None
        assert search(connection, nothing, limit=10, seconds=60.0, after=place) == ([], None)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path_factory.mktemp('filled')}/g.db")
    found.migrate()
    with found.engine.begin() as connection:
        for number in range(120):
            add(
                connection,
                f"person{number % 3}",
                number // 2,
                name=f"cavity {number * 7 % 40}",
                state=("failed", "running", "succeeded", "lost")[number % 4],
                target=("here", "far")[number // 3 % 2],
                case=(None, "cavity", "tank")[number // 6 % 3],
                tags={"study": f"s{number % 5}"},
                ended_at=None if number % 4 == 1 else START + (number + 5) * MINUTE,
            )
    yield found
    found.close()


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
        assert found(sweep="none") == [one]
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
