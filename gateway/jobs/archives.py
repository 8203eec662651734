"""All outputs of a job below a prefix as one archive, streamed: never more than a page of names and a few pieces."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection

from gateway.db import outputs as catalogue
from gateway.db.database import Database
from gateway.errors import NotFound, StoreError
from gateway.jobs.outputs import chosen_store, stores_of_job
from gateway.jobs.rows import owned
from gateway.jobs.views import Row
from gateway.storage.archive_names import entry_name, folder_name, root_name
from gateway.storage.archives import ArchiveWriter, TarWriter, ZipWriter
from gateway.storage.stores.base import Place, Store

log = logging.getLogger(__name__)

Format = Literal["zip", "tar"]
PAGE = 500
"""Names that are read from the catalogue at once."""
SMALL = 256 * 1024
"""Files of at most so many bytes are read ahead, some at a time: a store takes longer to find one than to send it."""
AHEAD = 8
SENT_AT_ONCE = 128 * 1024
PROBLEMS = ".gateway/archive-problems.txt"
"""Names what is not in the archive as the catalogue has it; a name that no output can have."""


@dataclass(frozen=True)
class Wanted:
    """Which outputs: names that begin with `prefix`."""

    prefix: str = ""
    format: Format = "zip"
    store: str | None = None


@dataclass(frozen=True)
class ArchivedFile:
    """A file of the store that goes into an archive; `final`: its size is the true one."""

    path: str
    size: int
    modified_at: datetime | None
    final: bool


@dataclass(frozen=True)
class Archive:
    """An archive that can be read.

    Attributes
    ----------
    name
        Its file name.
    folder
        Holds all entries; empty: they stand at the root.
    made, records
        What stands before the outputs: entries with their bytes, and files of the store that are no outputs.
    """

    name: str
    media_type: str
    folder: str
    wanted: Wanted
    database: Database
    job_id: str
    store: Store
    place: Place
    made: tuple[tuple[str, bytes], ...] = ()
    records: tuple[ArchivedFile, ...] = ()

    def name_of(self, path: str) -> str:
        """Return the name of the entry for a file of the store."""
        return entry_name(self.folder, path) if self.folder else root_name(path, {name for name, _ in self.made})

    async def read(self) -> AsyncGenerator[bytes, None]:
        """Yield the archive in pieces that are worth sending: see `_written`."""
        waiting = bytearray()
        async with aclosing(self._written()) as pieces:
            async for piece in pieces:
                waiting += piece
                if len(waiting) >= SENT_AT_ONCE:
                    yield bytes(waiting)
                    waiting.clear()
        if waiting:
            yield bytes(waiting)

    async def _written(self) -> AsyncGenerator[bytes, None]:
        """Yield the archive.

        Raises
        ------
        StoreError
            The store failed in between: the archive breaks off, and no program takes it for a whole one.
        """
        problems: list[str] = []
        with closing(_writer(self.wanted.format)) as writer:
            for name, data in self.made:
                yield writer.begin(name, len(data), datetime.now(UTC)) + writer.data(data) + writer.end()
            async with aclosing(self._files()) as files, aclosing(_ahead(self, files)) as opened:
                async for file, content in opened:
                    async with aclosing(_entry(self, writer, file, content, problems)) as pieces:
                        async for piece in pieces:
                            yield piece
            if problems:
                text = "".join(f"{line}\n" for line in problems).encode("utf-8", "replace")
                yield writer.begin(self.name_of(PROBLEMS), len(text), datetime.now(UTC))
                yield writer.data(text)
                yield writer.end()
            for piece in writer.finish():
                yield piece

    async def _files(self) -> AsyncGenerator[ArchivedFile, None]:
        """Yield the files by name, a page at a time: what changes meanwhile is seen or not, but nothing twice."""
        for record in self.records:
            yield record
        after = ""
        while True:
            rows = await self.database.read(lambda c, after=after: self._page(c, after))  # type: ignore[misc]
            for row in rows:
                yield ArchivedFile(row["path"], row["size"], row["modified_at"], row["state"] == "final")
            if len(rows) < PAGE:
                return
            after = rows[-1]["path"]

    def _page(self, connection: Connection, after: str) -> list[Row]:
        store, prefix = self.store.name, self.wanted.prefix
        return list(catalogue.files(connection, self.job_id, store, prefix=prefix, after=after, limit=PAGE))


class ArchiveService:
    """Archives of jobs' outputs, by the jobs' owner."""

    def __init__(self, database: Database, stores: Mapping[str, Store]) -> None:
        self.database = database
        self.stores = stores

    async def open(self, job_id: str, owner: str, wanted: Wanted) -> Archive:
        """Return an archive; raises `NotFound` where nothing begins with the prefix."""

        def read(connection: Connection) -> tuple[Row, Row, bool]:
            row = owned(connection, job_id, owner)
            chosen = chosen_store(stores_of_job(connection, job_id), wanted.store)
            found = catalogue.files(connection, job_id, chosen["store"], prefix=wanted.prefix, limit=1)
            return row, chosen, bool(found)

        row, chosen, there = await self.database.read(read)
        if wanted.prefix and not there:
            raise NotFound(f"the job has no output that begins with {wanted.prefix[:200]!a} in store {chosen['store']}")
        if chosen["store"] not in self.stores:
            raise StoreError(f"store {chosen['store']} is not configured any more")
        folder = folder_name(row["name"], job_id)
        writer = ZipWriter if wanted.format == "zip" else TarWriter
        place = Place(job_id, row["owner"], row["case"], chosen["path"])
        store = self.stores[chosen["store"]]
        return Archive(folder + writer.suffix, writer.media_type, folder, wanted, self.database, job_id, store, place)


def _writer(wanted: Format) -> ArchiveWriter:
    return ZipWriter() if wanted == "zip" else TarWriter()


async def _small(archive: Archive, path: str) -> bytes | None:
    """Return a small file whole; None where it has gone, or is not small any more."""
    found = bytearray()
    try:
        async with aclosing(archive.store.read(archive.place, path)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                found += piece
                if len(found) > 4 * SMALL:
                    return None
    except NotFound:
        return None
    return bytes(found)


async def _ahead(
    archive: Archive, files: AsyncGenerator[ArchivedFile, None]
) -> AsyncGenerator[tuple[ArchivedFile, bytes | None], None]:
    """Yield the files in their order, small ones with their bytes, which are read some at a time."""
    waiting: list[tuple[ArchivedFile, asyncio.Task[bytes | None] | None]] = []
    try:
        async for file in files:
            small = file.size <= SMALL
            task = asyncio.create_task(_small(archive, file.path)) if small else None
            waiting.append((file, task))
            if len(waiting) >= AHEAD:
                first, reading = waiting[0]
                content = await reading if reading is not None else None
                del waiting[0]
                yield first, content
        while waiting:
            first, reading = waiting[0]
            content = await reading if reading is not None else None
            del waiting[0]
            yield first, content
    finally:
        tasks = [task for _, task in waiting if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _entry(
    archive: Archive, writer: ArchiveWriter, file: ArchivedFile, content: bytes | None, problems: list[str]
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of one entry; what cannot be had as it should is named in `problems`."""
    name = archive.name_of(file.path)
    if content is not None:
        if file.final and len(content) != file.size:
            problems.append(f"{name}: has {len(content)} bytes, not {file.size}")
        yield writer.begin(name, len(content), file.modified_at)
        yield writer.data(content)
        yield writer.end()
        return
    if not file.final:
        now = await archive.store.stat(archive.place, file.path)
        file = replace(file, size=now.size, modified_at=now.modified_at) if now is not None else file
    pieces = archive.store.read(archive.place, file.path)
    async with aclosing(pieces):  # type: ignore[type-var]
        try:
            first = await anext(pieces, b"")
        except NotFound:
            problems.append(f"{name}: is not in the store any more")
            return
        yield writer.begin(name, file.size, file.modified_at)
        count = len(first)
        yield writer.data(first)
        async for piece in pieces:
            count += len(piece)
            yield writer.data(piece)
    if isinstance(writer, TarWriter):
        for zeros in writer.fill():
            yield zeros
    if count != file.size:
        problems.append(f"{name}: had {count} bytes while it was read, not {file.size}")
    yield writer.end()
