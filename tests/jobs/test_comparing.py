"""Comparing the catalogue with a listing: what is noted is exactly what differs, in whatever order it was listed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, update

from gateway.db import jobs, outputs, reconciling
from gateway.db.database import Database
from gateway.db.tables import folders, job_stores
from gateway.jobs.comparing import Comparison
from gateway.model.states import State
from gateway.storage.spool import ADDITION, CHANGE, REMOVAL, Spool
from gateway.storage.stores.base import StoredObject
from tests.databases import lay_database

JOB = "11111111-1111-4111-8111-111111111111"

names = st.text(st.characters(codec="utf-8", exclude_characters="/\0‛\ufffd"), min_size=1, max_size=3).filter(
    lambda name: name not in (".", "..", ".gateway")
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
trees = st.dictionaries(paths, st.integers(0, 3), max_size=12)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    lay_database(tmp_path)
    found = Database(f"sqlite:///{tmp_path}/gateway.db")
    with found.engine.begin() as connection:
        values = {"id": JOB, "name": "x", "state": State.ACCEPTED, "owner": "alice", "tags": {}, "target": "t"}
        jobs.insert_job(connection, {**values, "stores": ["s"], "spec": {}}, [jobs.NewStore("s", None, "push")])
    yield found
    found.close()


def fill(connection: Connection, tree: dict[str, int]) -> None:
    outputs.remove(connection, JOB, "s", [row["path"] for row in outputs.files(connection, JOB, "s", limit=9999)])
    outputs.upsert(connection, JOB, "s", [outputs.OutputRow(path, size, "final", 1) for path, size in tree.items()])


def noted(spool: Spool, kind: str) -> dict[str, int]:
    return {item.path: item.size for item in spool.differences("f", kind)}


@given(trees, trees, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_differs_is_noted_and_nothing_else(
    database: Database, rows: dict[str, int], objects: dict[str, int], chance: random.Random
) -> None:
    listed = list(objects.items())
    chance.shuffle(listed)
    with Spool() as spool, database.engine.begin() as connection:
        fill(connection, rows)
        spool.add(("f", path, StoredObject(path, size, datetime(2026, 1, 1, tzinfo=UTC))) for path, size in listed)
        spool.add([("f", ".gateway/manifest.json", StoredObject(".gateway/manifest.json", 1))])
        spool.add([("g", "other", StoredObject("other", 1))])
        spool.arrange()
        assert Comparison(spool, "f").run(connection, JOB, "s") is False
        assert noted(spool, ADDITION) == {path: size for path, size in objects.items() if path not in rows}
        assert noted(spool, REMOVAL) == {path: size for path, size in rows.items() if path not in objects}
        changed = {path: size for path, size in objects.items() if rows.get(path, size) != size}
        assert noted(spool, CHANGE) == changed
        assert spool.differ("f") == (rows != objects)


@given(trees, st.integers(0, 3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_totals_that_are_wrong_are_seen_and_counted_anew(database: Database, rows: dict[str, int], how: int) -> None:
    with Spool() as spool, database.engine.begin() as connection:
        fill(connection, rows)
        before = reconciling.totals(connection, JOB, "s")
        spool.add(("f", path, StoredObject(path, size)) for path, size in rows.items())
        spool.arrange()
        damage = [
            update(job_stores).values(count=job_stores.c["count"] + 1),
            update(folders).values(bytes=folders.c["bytes"] + 1),
            delete(folders),
            folders.insert().values(job_id=JOB, store="s", prefix="gone/", parent="", count=1, bytes=1),
        ][how]
        hurt = connection.execute(damage).rowcount > 0
        assert Comparison(spool, "f").run(connection, JOB, "s") is hurt
        reconciling.recount(connection, JOB, "s")
        assert reconciling.totals(connection, JOB, "s") == before
        assert Comparison(spool, "f").run(connection, JOB, "s") is False


def test_what_retention_is_about_to_do_with_is_left_to_it(database: Database) -> None:
    with Spool() as spool, database.engine.begin() as connection:
        fill(connection, {"going": 1, "stays": 1})
        connection.exec_driver_sql("UPDATE outputs SET going = 'delete' WHERE path = 'going'")
        spool.arrange()
        Comparison(spool, "f").run(connection, JOB, "s")
        assert noted(spool, REMOVAL) == {"stays": 1}
        began = jobs.now()
        assert reconciling.forget(connection, JOB, "s", ["going", "stays"], began) == 1
