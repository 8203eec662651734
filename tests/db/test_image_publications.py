"""Who publishes which image: one process at a time, and what another one has left."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.db import image_publications as table
from gateway.db import images
from gateway.db.database import Database
from gateway.db.jobs import now

MINUTES = timedelta(minutes=10)
MIRRORS = ["a", "b"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path}/g.db")
    found.migrate()
    yield found
    found.close()


def _image(connection: Connection, name: str, **values: Any) -> str:
    image_id = images.insert_image(connection, {"digest": None, **values})
    images.set_names(connection, image_id, [name])
    return image_id


def test_an_image_is_worked_at_by_one_process_and_taken_over_when_that_is_silent(database: Database) -> None:
    at = now()
    with database.engine.begin() as connection:
        image_id = _image(connection, "fsl/6.0.3")
        assert table.want(connection, [image_id], ["a"], "alice", at) == 1
        assert table.take(connection, "one", MIRRORS, at, at + MINUTES) == (image_id, ["a"])
        assert table.want(connection, [image_id], MIRRORS, "bob", at) == 2
        assert table.take(connection, "two", MIRRORS, at, at + MINUTES) is None
        assert table.keep(connection, "one", image_id, at + 2 * MINUTES)
        late = at + MINUTES + timedelta(seconds=1)
        assert table.take(connection, "two", MIRRORS, late, late + MINUTES) is None
        later = at + 2 * MINUTES + timedelta(seconds=1)
        found = table.take(connection, "two", MIRRORS, later, later + MINUTES)
        assert found is not None
        assert (found[0], sorted(found[1])) == (image_id, MIRRORS)
        assert not table.keep(connection, "one", image_id, later + MINUTES)
        assert not table.write(connection, "one", image_id, "a", state="published")
        assert table.write(connection, "two", image_id, "a", state="published", holder=None, held_until=None)
        table.let_go(connection, "two")
        rows = table.of_image(connection, image_id)
        assert {name: (row["state"], row["holder"]) for name, row in rows.items()} == {
            "a": ("published", None),
            "b": ("wanted", None),
        }


def test_one_process_that_is_alone_goes_on_at_once_with_what_a_dead_one_had(database: Database) -> None:
    at = now()
    with database.engine.begin() as connection:
        image_id = _image(connection, "fsl/6.0.3")
        table.want(connection, [image_id], ["a"], "alice", at)
        assert table.take(connection, "one", MIRRORS, at, at + MINUTES) is not None
        assert table.take(connection, "two", MIRRORS, at, at + MINUTES, alone=True) == (image_id, ["a"])
        assert table.take(connection, "two", MIRRORS, at, at + MINUTES, alone=True) is None


def test_what_failed_waits_for_its_time_or_for_somebody_to_ask(database: Database) -> None:
    at = now()
    with database.engine.begin() as connection:
        image_id = _image(connection, "fsl/6.0.3")
        table.want(connection, [image_id], ["a"], "alice", at)
        table.take(connection, "one", MIRRORS, at, at + MINUTES)
        failed = {"state": "failed", "holder": None, "tries": 1}
        table.write(connection, "one", image_id, "a", **failed, held_until=at + MINUTES)
        assert table.take(connection, "one", MIRRORS, at, at + MINUTES) is None
        late = at + MINUTES
        assert table.take(connection, "one", MIRRORS, late, late + MINUTES) == (image_id, ["a"])
        table.write(connection, "one", image_id, "a", **failed, held_until=None)
        assert table.take(connection, "one", MIRRORS, at + 100 * MINUTES, at + 101 * MINUTES) is None
        table.want(connection, [image_id], ["a"], "alice", at)
        assert table.take(connection, "one", MIRRORS, at, at + MINUTES) == (image_id, ["a"])


def test_pages_of_publications_go_on_where_the_one_before_ended(database: Database) -> None:
    at = now()
    with database.engine.begin() as connection:
        ids = sorted(_image(connection, f"tool/{number}") for number in range(3))
        table.want(connection, ids, MIRRORS, "alice", at)
        expected = [(image_id, mirror) for image_id in ids for mirror in MIRRORS]
        found: list[tuple[str, str]] = []
        while page := table.page(connection, after=found[-1] if found else None, limit=4):
            found += [(row["image_id"], row["mirror"]) for row in page]
        assert found == expected
        assert {row["name"] for row in table.page(connection)} == {"tool/0", "tool/1", "tool/2"}
        assert [row["mirror"] for row in table.page(connection, image_ids=ids[:1], mirror="b")] == ["b"]
        assert table.page(connection, states=("failed",)) == []
        assert table.counts(connection) == {"a": {"wanted": 3}, "b": {"wanted": 3}}
        images.remove(connection, ids[0])
        assert len(table.page(connection)) == 4


def test_the_schedule_is_kept_once_for_all_processes(database: Database) -> None:
    at = now()
    with database.engine.begin() as connection:
        assert table.scheduled(connection, at, 3600)
        assert not table.scheduled(connection, at + timedelta(minutes=59), 3600)
        assert table.scheduled(connection, at + timedelta(minutes=61), 3600)
