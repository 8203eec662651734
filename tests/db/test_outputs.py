"""The catalogue: folder totals always equal what a count over the rows would give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from gateway.db import jobs, outputs
from gateway.db.database import Database
from gateway.db.tables import folders, job_stores
from gateway.model.states import State

JOB = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path}/g.db")
    found.migrate()
    with found.engine.begin() as connection:
        _job(connection, JOB)
    yield found
    found.close()


def _job(connection: Connection, job_id: str) -> None:
    values = {
        "id": job_id,
        "name": "x",
        "state": State.ACCEPTED,
        "owner": "alice",
        "tags": {},
        "target": "t",
        "stores": ["s"],
        "spec": {},
    }
    jobs.insert_job(connection, values, [jobs.NewStore("s", None, "push")])


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=3)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
steps = st.lists(st.tuples(st.booleans(), st.dictionaries(paths, st.integers(0, 1000), max_size=8)), max_size=6)


def _expected(files: dict[str, int]) -> dict[str, tuple[int, int]]:
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for path, size in files.items():
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            prefix = "/".join(parts[:depth]) + "/"
            totals[prefix][0] += 1
            totals[prefix][1] += size
    return {prefix: (count, size) for prefix, (count, size) in totals.items()}


@given(steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_folder_totals_follow_every_change(database: Database, changes) -> None:
    with database.engine.begin() as connection:
        outputs.remove(connection, JOB, "s", [r["path"] for r in outputs.files(connection, JOB, "s", limit=9999)])
        files: dict[str, int] = {}
        for add, batch in changes:
            if add:
                rows = [outputs.OutputRow(path, size, "partial", 1) for path, size in batch.items()]
                outputs.upsert(connection, JOB, "s", rows)
                files |= batch
            else:
                outputs.remove(connection, JOB, "s", list(batch))
                for path in batch:
                    files.pop(path, None)
        query = select(folders.c.prefix, folders.c["count"], folders.c["bytes"])
        found = {prefix: (count, size) for prefix, count, size in connection.execute(query)}
        total = connection.execute(select(job_stores.c["count"], job_stores.c["bytes"])).one()
    assert found == _expected(files)
    assert tuple(total) == (len(files), sum(files.values()))


@given(st.dictionaries(paths, st.integers(0, 9), min_size=1, max_size=12), names)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_prefix_lists_exactly_what_begins_with_it(database: Database, files, prefix: str) -> None:
    with database.engine.begin() as connection:
        outputs.remove(connection, JOB, "s", [r["path"] for r in outputs.files(connection, JOB, "s", limit=9999)])
        outputs.upsert(connection, JOB, "s", [outputs.OutputRow(p, s, "final", 1) for p, s in files.items()])
        found = [row["path"] for row in outputs.files(connection, JOB, "s", prefix=prefix)]
    assert found == sorted((p for p in files if p.startswith(prefix)), key=lambda p: p.encode())


def test_one_level_shows_files_and_folders_beside_each_other(database: Database) -> None:
    tree = ["a.txt", "VTK/c_0.vtk", "VTK/c_1.vtk", "VTK/wall/w.vtk", "0.1/U"]
    with database.engine.begin() as connection:
        outputs.upsert(connection, JOB, "s", [outputs.OutputRow(p, 10, "final", 1) for p in tree])
        top = [row["path"] for row in outputs.files(connection, JOB, "s", one_level=True)]
        top_folders = [(row["prefix"], row["count"], row["bytes"]) for row in outputs.subfolders(connection, JOB, "s")]
        vtk = [row["path"] for row in outputs.files(connection, JOB, "s", prefix="VTK/", one_level=True)]
        begun = [row["path"] for row in outputs.files(connection, JOB, "s", prefix="VTK/c_1", one_level=True)]
    assert top == ["a.txt"]
    assert top_folders == [("0.1/", 1, 10), ("VTK/", 3, 30)]
    assert vtk == ["VTK/c_0.vtk", "VTK/c_1.vtk"]
    assert begun == ["VTK/c_1.vtk"]
