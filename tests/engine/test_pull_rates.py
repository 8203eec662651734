"""How fast mirrors were, by what scripts report while they pull."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.compute.records import RecordUpdate
from gateway.db import events, images, jobs
from gateway.db.database import Database
from gateway.engine import pull_rates
from gateway.engine.pull_rates import points_of, rates_of
from gateway.model.states import State
from tests.databases import lay_database

JOB = "11111111-1111-4111-8111-111111111111"
ONE, TWO = "https://one.example/x.sif", "https://two.example/x.sif"
MB = 1_000_000


def _line(second: float, count: Any, source: Any = "", phase: str = "pulling") -> dict[str, Any]:
    return {"at": f"2026-01-01T00:00:{second:09.6f}Z", "phase": phase, "bytes": count, "source": source}


def test_a_mirror_counts_for_the_bytes_and_the_seconds_between_its_reports() -> None:
    points = points_of(
        [_line(0, 0), _line(2, 20 * MB, ONE), _line(4, 40 * MB, ONE), _line(6, 42 * MB, TWO), _line(8, 44 * MB)]
    )
    assert rates_of(points) == {"one.example": 10 * MB, "two.example": MB}


def test_what_is_too_short_too_small_or_forged_tells_nothing() -> None:
    assert rates_of(points_of([_line(0, 0), _line(0.1, 90 * MB, ONE)])) == {}
    assert rates_of(points_of([_line(0, 0), _line(9, 1000, ONE)])) == {}
    assert rates_of(points_of([_line(0, 0), _line(9, 9 * MB, "another job's download")])) == {}
    bad = [{"at": 7}, _line(1, "9"), _line(1, True), _line(1, -5), {**_line(1, 9), "at": "soon"}, {"bytes": 9}]
    assert points_of(bad) == []


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    lay_database(tmp_path)
    found = Database(f"sqlite:///{tmp_path}/gateway.db")
    yield found
    found.close()


def test_a_pull_that_took_several_looks_is_noted_for_its_target_once_it_is_done(database: Database) -> None:
    spec = {"command": ["true"], "image": {"ref": ONE, "mirrors": []}}
    row = {"id": JOB, "name": "x", "state": State.RUNNING, "owner": "alice", "tags": {}, "target": "t", "stores": []}
    with database.engine.begin() as connection:
        jobs.insert_job(connection, {**row, "spec": spec}, [])
        found = jobs.get(connection, JOB)
        assert found is not None
        for line in (_line(0, 0), _line(5, 10 * MB, ONE)):
            events.append(connection, JOB, "alice", "pull", line, at=jobs.now())
            pull_rates.note(connection, found, RecordUpdate(status_lines=(line,)))
        assert images.rates_of(connection, "t") == {}
        done = {**_line(10, 20 * MB, phase="pulled"), "cached": False}
        forged = _line(20, 90 * MB, TWO)
        pull_rates.note(connection, found, RecordUpdate(status_lines=(done, forged)))
        assert images.rates_of(connection, "t") == {"one.example": 2 * MB}
        pull_rates.note(connection, found, RecordUpdate(status_lines=({**done, "cached": True},)))
        images.note_rate(connection, "t", "one.example", 4 * MB)
        assert images.rates_of(connection, "t")["one.example"] == pytest.approx(2.6 * MB)
        assert images.rates_of(connection, "other") == {}
