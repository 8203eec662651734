"""Listing and searching a million outputs.

One job with 1,000,000 outputs in 1,000 folders, on SQLite and on PostgreSQL: first pages below a prefix, from the
catalogue to the JSON that is answered. Each kind is measured with many prefixes in turn; the figure is the 99th
percentile, and the baseline what is wanted: 20 ms. A page of a search, where no index knows the answer, is given after
a bounded time with what was found until then.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from benchmarks.measure import Comparison
from benchmarks.million_jobs import NUMBERS, databases
from benchmarks.samples import insert
from gateway.app import person
from gateway.db import jobs, tables
from gateway.db.database import Database
from gateway.jobs.output_search import OutputSearch, Search
from gateway.jobs.outputs import Listing, OutputService
from gateway.model.job import OutputPage

FOLDERS, FILES = 1000, 1000
LIMIT = 100
"""Files of a page, as the panel asks for them."""
BOUND, SEARCH_BOUND = 0.020, 0.100
ROUNDS = 200

_PATH = "'VTK/' || (i / {files}) || '/cavity_' || (i % {files}) || '.vtk'"
_ROWS = """
    INSERT INTO outputs
        (job_id, store, path, parent, attempt, size, modified_at, content_type, digest, state, stored_at)
    {numbers} SELECT :job, 'local', {path}, 'VTK/' || (i / {files}) || '/', 1, 81234, :at, 'application/octet-stream',
        'sha256:' || {digest}, 'final', :at FROM n"""
_FOLDERS = """
    INSERT INTO folders (job_id, store, prefix, parent, count, bytes)
    {numbers} SELECT :job, 'local', 'VTK/' || i || '/', 'VTK/', :files, :files * 81234 FROM n"""
_DIGESTS = {"sqlite": "printf('%064x', i)", "postgresql": "lpad(to_hex(i), 64, '0')"}


def _fill(connection: Connection, folders: int) -> str:
    """Make the rows inside the database."""
    dialect = connection.dialect.name
    job_id = insert(connection, target="local", store="local")
    at = round(jobs.now().timestamp() * 1_000_000)
    words = {"path": _PATH.format(files=FILES), "files": FILES, "digest": _DIGESTS[dialect]}
    numbers = NUMBERS[dialect]
    rows = _ROWS.format(numbers=numbers.format(last=folders * FILES - 1), **words)
    connection.execute(text(rows), {"job": job_id, "at": at})
    totals = _FOLDERS.format(numbers=numbers.format(last=folders - 1))
    connection.execute(text(totals), {"job": job_id, "files": FILES})
    count = folders * FILES
    top = {"job_id": job_id, "store": "local", "prefix": "VTK/", "parent": "", "count": count, "bytes": count * 81234}
    connection.execute(tables.folders.insert().values(top))
    jobs.set_store(connection, job_id, "local", count=count, bytes=count * 81234, state="complete")
    return job_id


@dataclass
class Pages:
    """First pages of one job's outputs; every one is another."""

    database: Database
    job_id: str
    folders: int
    chance: random.Random

    def _folder(self) -> str:
        return f"VTK/{self.chance.randrange(self.folders)}"

    async def _level(self, prefix: str, *, one_level: bool = True) -> OutputPage:
        listing = Listing(prefix, one_level=one_level, limit=LIMIT)
        return await OutputService(self.database, {}).list(self.job_id, person(), listing)

    async def _search(self, pattern: str) -> OutputPage:
        return await OutputSearch(self.database).in_job(self.job_id, person(), Search(pattern=pattern, limit=LIMIT))

    async def folder(self) -> OutputPage:
        """Return a level with files."""
        return await self._level(f"{self._folder()}/")

    async def below(self) -> OutputPage:
        """Return all below a prefix."""
        return await self._level(self._folder(), one_level=False)

    async def begun(self) -> OutputPage:
        """Return what begins so in a folder."""
        return await self._level(f"{self._folder()}/cavity_{self.chance.randrange(FILES)}")

    async def top(self) -> OutputPage:
        """Return a level with folders."""
        return await self._level("VTK/")

    async def pattern(self) -> OutputPage:
        """Return what fits a pattern with a folder before it."""
        return await self._search(f"{self._folder()}/*_1?.vtk")

    async def nothing(self) -> OutputPage:
        """Look for what is not there."""
        return await self._search("**/*.none")


KINDS = (
    ("a folder", Pages.folder, BOUND),
    ("all below a prefix", Pages.below, BOUND),
    ("names that begin so", Pages.begun, BOUND),
    ("the folders of a folder", Pages.top, BOUND),
    ("a pattern below a folder", Pages.pattern, BOUND),
    ("a pattern that nothing fits", Pages.nothing, SEARCH_BOUND),
)


async def _late(page: Callable[[Pages], Awaitable[OutputPage]], pages: Pages) -> float:
    """Return the 99th percentile of the seconds that a page takes, JSON included."""
    seconds = []
    for _ in range(ROUNDS + 2):
        begin = time.perf_counter()
        (await page(pages)).model_dump_json()
        seconds.append(time.perf_counter() - begin)
    seconds = sorted(seconds[2:])  # statements are put together when they are sent for the first time
    return seconds[int(len(seconds) * 0.99)]


async def run(folders: int = FOLDERS) -> list[Comparison]:
    """Measure."""
    found = []
    with tempfile.TemporaryDirectory() as folder, databases(Path(folder)) as urls:
        for name, url in urls:
            database = Database(url)
            database.migrate()
            job_id = await database.write(lambda c: _fill(c, folders))
            if not database.is_sqlite:
                await database.write(lambda c: c.execute(text("ANALYZE")))
            pages = Pages(database, job_id, folders, random.Random(1))
            for what, page, bound in KINDS:
                late = await _late(page, pages)
                shown = f"{name}: {what}, of {folders * FILES:,} files"
                found.append(Comparison(shown, "what is wanted", 1, "page", [late], [bound]))
            database.close()
    return found
