"""Outputs as people browse and read them: names from the catalogue, bytes from the store."""

from __future__ import annotations

import shlex
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.db import jobs as job_table
from gateway.db import outputs as catalogue
from gateway.db.database import Database
from gateway.errors import NotFound, ObjectArchived, StoreError
from gateway.jobs import cursors
from gateway.jobs.pointers import refuse_query
from gateway.jobs.retention import removed_by
from gateway.jobs.service import owned
from gateway.jobs.views import Row, output_of
from gateway.model.job import OutputFile, OutputFolder, OutputPage
from gateway.model.retention import RESTORE, is_closed
from gateway.storage.stores.base import Place, Store

SIGNED_FOR = timedelta(minutes=10)
MANIFEST = ".gateway/manifest.json"


@dataclass(frozen=True)
class Listing:
    """What to list: names that begin with `prefix`, only one level where `one_level`."""

    prefix: str = ""
    one_level: bool = False
    store: str | None = None
    limit: int = 1000
    cursor: str | None = None


@dataclass(frozen=True)
class OpenFile:
    """One file that can be read.

    Attributes
    ----------
    etag
        Quoted; changes with the bytes.
    """

    store: Store
    place: Place
    path: str
    size: int
    content_type: str
    etag: str
    modified_at: datetime | None
    archived: bool = False
    restoring: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    async def read(self, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield exactly `length` bytes (all the rest for None).

        Raises
        ------
        NotFound
            The file is gone. Raised before the first piece.
        ObjectArchived
            It must be brought back first.
        StoreError
            The file ended before that.
        """
        left = self.size - offset if length is None else length
        if left <= 0:
            return
        try:
            async with aclosing(self.store.read(self.place, self.path, offset, left)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    yield piece[:left]
                    left -= len(piece)
                    if left <= 0:
                        return
        except ObjectArchived:
            raise self._away() from None
        raise StoreError(f"{self.path!a} became shorter while it was read")

    async def signed_url(self) -> str | None:
        """Return a short-lived address, None where the store has none; raises `ObjectArchived`."""
        if self.archived:
            raise self._away()
        return await self.store.signed_url(self.place, self.path, SIGNED_FOR, self.name)

    def _away(self) -> ObjectArchived:
        job, name = self.place.job_id, self.store.name
        if self.restoring:
            hint = f"the store is bringing it back, which takes hours; see: gateway retention show {job}"
        else:
            hint = f"in some hours it is back by: gateway outputs restore {job} {shlex.quote(self.path)} --store {name}"
        return ObjectArchived(f"{self.path!a} is in the archive of store {name}", hint=hint)


class OutputService:
    """Reads outputs of jobs, by their owner."""

    def __init__(self, database: Database, stores: Mapping[str, Store]) -> None:
        self.database = database
        self.stores = stores

    async def list(self, job_id: str, owner: str, wanted: Listing) -> OutputPage:
        """Return a page of folders and files in one order of names, byte by byte."""
        kind = "outputs/" if wanted.one_level else "outputs"
        after = str(cursors.decode(wanted.cursor, kind, str)[0]) if wanted.cursor is not None else ""

        def read(connection: Connection) -> tuple[list[OutputFolder | OutputFile], bool]:
            owned(connection, job_id, owner)
            mine = stores_of_job(connection, job_id)
            store = chosen_store(mine, wanted.store)["store"]
            many = wanted.limit + 1
            files = catalogue.files(
                connection,
                job_id,
                store,
                prefix=wanted.prefix,
                one_level=wanted.one_level,
                after=after,
                limit=many,
            )
            found: list[tuple[str, OutputFolder | OutputFile]] = [
                (row["path"], output_of(row, mine[0]["store"])) for row in files
            ]
            if wanted.one_level:
                folders = catalogue.subfolders(connection, job_id, store, prefix=wanted.prefix, after=after, limit=many)
                found += [
                    (f["prefix"], OutputFolder(prefix=f["prefix"], count=f["count"], bytes=f["bytes"])) for f in folders
                ]
            found.sort(key=lambda item: item[0])
            return [item for _, item in found[: wanted.limit]], len(found) > wanted.limit

        items, more = await self.database.read(read)
        folders = [item for item in items if isinstance(item, OutputFolder)]
        files = [item for item in items if isinstance(item, OutputFile)]
        following = None
        if more:
            last = items[-1]
            following = cursors.encode(kind, last.prefix if isinstance(last, OutputFolder) else last.path)
        return OutputPage(prefix=wanted.prefix, folders=folders, files=files, next_cursor=following)

    async def open(self, job_id: str, owner: str, path: str, store: str | None = None) -> OpenFile:
        """Find one file; raises `NotFound` where the catalogue has none of that name."""

        def read(connection: Connection) -> tuple[Row, Row, Row | None]:
            row = owned(connection, job_id, owner)
            chosen = chosen_store(stores_of_job(connection, job_id), store)
            return row, chosen, catalogue.get(connection, job_id, chosen["store"], path)

        row, chosen, found = await self.database.read(read)
        if found is None:
            gone = await self.database.read(lambda c: removed_by(c, job_id, chosen["store"], path))
            raise NotFound(f"the job has no output {path[:200]!a} in store {chosen['store']}", hint=gone)
        place = Place(job_id, row["owner"], row["case"], chosen["path"])
        backend = self._backend(chosen["store"])
        size, modified_at = found["size"], found["modified_at"]
        if found["state"] != "final":  # it may have grown since its row was written
            stored = await backend.stat(place, path)
            if stored is None:
                raise NotFound(f"{path[:200]!a} is not in store {chosen['store']} now")
            size, modified_at = stored.size, stored.modified_at
        etag = found["digest"] if found["state"] == "final" else None
        etag = etag or f"{size}-{cursors.encode_moment(modified_at or found['stored_at'] or row['created_at'])}"
        return OpenFile(
            backend,
            place,
            path,
            size,
            found["content_type"] or "application/octet-stream",
            f'"{etag}"',
            modified_at,
            is_closed(found["tier"]),
            found["going"] == RESTORE,
        )

    async def manifest(self, job_id: str, owner: str, store: str | None = None) -> bytes:
        """Return the signed manifest of a store; raises `NotFound` until there is one."""
        missing = NotFound("the job has no manifest yet: it is written when its outputs are settled")

        def read(connection: Connection) -> tuple[Row, Row]:
            row = owned(connection, job_id, owner)
            return row, chosen_store(stores_of_job(connection, job_id), store)

        row, chosen = await self.database.read(read)
        place = Place(job_id, row["owner"], row["case"], chosen["path"])
        backend = self._backend(chosen["store"])
        if await backend.stat(place, MANIFEST) is None:
            raise missing
        return b"".join([piece async for piece in backend.read(place, MANIFEST)])

    def _backend(self, name: str) -> Store:
        if name not in self.stores:
            raise StoreError(f"store {name} is not configured any more")
        return self.stores[name]


def stores_of_job(connection: Connection, job_id: str) -> list[Row]:
    """Return the stores of a job, its first one first; raises `NotFound` where it has none."""
    found = job_table.stores_of(connection, [job_id]).get(job_id, [])
    if not found:
        raise NotFound("the job has no store")
    return list(found)


def chosen_store(stores: list[Row], name: str | None) -> Row:
    """Return the store of that name, the first one for None; raises `InvalidRequest` where it is not there."""
    for row in stores:
        if name is None or row["store"] == name:
            return row
    raise refuse_query("store", f"must be one of the job's stores: {', '.join(row['store'] for row in stores)}")
