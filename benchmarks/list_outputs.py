"""Listing by prefix.

A job with 100,000 outputs in 100 folders: the first page below a prefix, one level, from the catalogue (SQLite) to the
JSON that is answered. The baseline is the query alone: the same columns by the same index on the same file with
Python's `sqlite3`, without objects, checks or JSON. The page of folders also shows that totals are read and never
counted: behind each of its rows stand 1,000 files.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Comparison, rounds
from benchmarks.samples import insert
from benchmarks.servers import new_database
from gateway.app import person
from gateway.db import jobs, outputs
from gateway.db.database import Database
from gateway.jobs.outputs import Listing, OutputService

FOLDERS, FILES = 100, 1000
LIMIT = 1000
RUNS = 20
QUERIES = (
    "SELECT path, size, modified_at, content_type, digest, state, stored_at, attempt FROM outputs "
    "WHERE job_id = ? AND store = ? AND parent = ? ORDER BY path LIMIT ?",
    "SELECT prefix, count, bytes FROM folders WHERE job_id = ? AND store = ? AND parent = ? ORDER BY prefix LIMIT ?",
)


async def _fill(database: Database) -> str:
    job_id = await database.write(lambda c: insert(c, target="local", store="local"))
    at = jobs.now()
    for folder in range(FOLDERS):
        rows = [
            outputs.OutputRow(
                f"VTK/{folder}/cavity_{n}.vtk",
                81234,
                "final",
                1,
                at,
                "application/octet-stream",
                "sha256:" + f"{folder * FILES + n:064x}",
                at,
            )
            for n in range(FILES)
        ]
        await database.write(lambda c, r=rows: outputs.upsert(c, job_id, "local", r))  # type: ignore[misc]
    return job_id


async def run() -> list[Comparison]:
    """Measure."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        database = new_database(Path(folder))
        job_id = await _fill(database)
        service = OutputService(database, {})
        connection = sqlite3.connect(Path(folder, "gateway.db"))
        for what, prefix, rows in (("folders", "VTK/", FOLDERS), ("files", "VTK/42/", FILES)):
            size = 0

            async def mine(prefix: str = prefix) -> float:
                nonlocal size
                begin = time.perf_counter()
                for _ in range(RUNS):
                    page = await service.list(job_id, person(), Listing(prefix, one_level=True, limit=LIMIT))
                    size = len(page.model_dump_json())
                return (time.perf_counter() - begin) / RUNS

            async def bare(prefix: str = prefix, rows: int = rows) -> float:
                begin = time.perf_counter()
                for _ in range(RUNS):
                    answers = [connection.execute(q, (job_id, "local", prefix, LIMIT)).fetchall() for q in QUERIES]
                    assert sum(map(len, answers)) == rows
                return (time.perf_counter() - begin) / RUNS

            gateway, baseline = await rounds(mine, bare)
            shown = f"{rows:,} {what} of {FOLDERS * FILES:,} files"
            notes = [f"the page has {size:,} bytes"]
            found.append(Comparison(shown, "the query alone", 1, "page", gateway, baseline, notes))
        connection.close()
        database.close()
    return found
