"""Files that people send: streamed to the gateway's disk, proved by their digest, kept until nobody needs them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway.db import uploads as table
from gateway.db.database import Database
from gateway.errors import (
    ConfigurationError,
    Conflict,
    FieldError,
    GatewayError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
)
from gateway.jobs import cursors
from gateway.jobs.upload_files import CHUNK, PartFile, check_room, in_thread, part_file, whole_file
from gateway.jobs.views import Row
from gateway.model.upload import Upload, UploadPage
from gateway.settings import Settings

log = logging.getLogger(__name__)

SETTLE_EVERY = 64 * 1024 * 1024
"""Bytes after which what has come is written down, so that a crash loses no more."""
LOOK_EVERY = 3600.0
"""Seconds between looks for uploads that have expired."""
ORPHAN_AGE = timedelta(days=1)
"""Files that no row names are removed when they are older."""


@dataclass(frozen=True)
class Announced:
    """What a sender says about a file: its digest, its bytes; and the bytes of this request, where known."""

    digest: str | None = None
    size: int | None = None
    body: int | None = None


class UploadService:
    """Uploads of people, by their owner. They lie in a folder of the gateway's data folder."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.folder = settings.gateway.data_folder / "uploads"
        self.limit = settings.gateway.upload_limit
        self.kept_for = timedelta(days=settings.gateway.upload_days)
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make the folder, and look for what has expired from time to time.

        Raises
        ------
        ConfigurationError
            The folder cannot be made.
        """
        try:
            await asyncio.to_thread(partial(self.folder.mkdir, mode=0o700, parents=True, exist_ok=True))
        except OSError as error:
            raise ConfigurationError(f"gateway.data: {self.folder} cannot be made: {error.strerror}") from None
        self._watching = asyncio.create_task(self._watch(), name="expire uploads")

    async def stop(self) -> None:
        """End the looking."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    # --- Sending

    async def create(self, owner: str, said: Announced, stream: AsyncIterable[bytes]) -> Upload:
        """Take a new file, or the first part of it.

        Parameters
        ----------
        said
            With a size the upload is complete when so many bytes have come, in this request or in later ones. Without
            one it is what this request brings.

        Raises
        ------
        InvalidRequest
            Its digest is not the announced one, or more bytes came than announced. Nothing is kept.
        PayloadTooLarge
            The owner's uploads would take more than `limit`.
        NoRoom
            The disk is full.
        """
        size = said.size if said.size is not None else said.body
        if said.digest is not None and (found := await self._complete(owner, said.digest)):
            return found
        await asyncio.to_thread(check_room, self.folder, size or 0)
        upload_id = str(uuid.uuid4())

        def store(connection: Connection) -> None:
            self._check_limit(table.total(connection, owner) + (size or 0))
            table.add(connection, upload_id, owner, datetime.now(UTC), digest=said.digest, size=size)

        await self.database.write(store)
        row = await self.database.read(lambda c: _owned(c, owner, upload_id))
        with PartFile(part_file(self.folder, row["id"])) as part:
            return await self._receive(part, row, stream)

    async def append(self, name: str, owner: str, offset: int, stream: AsyncIterable[bytes]) -> Upload:
        """Take the next bytes of an upload.

        Raises
        ------
        NotFound
        Conflict
            `offset` is not where it goes on, it is complete, or another request sends bytes of it now.
        InvalidRequest, PayloadTooLarge, NoRoom
            As `create`.
        """
        row = await self.database.read(lambda c: _owned(c, owner, name))
        _goes_on_at(row, offset)
        with PartFile(part_file(self.folder, row["id"])) as part:
            row = await self.database.read(lambda c: _owned(c, owner, row["id"]))  # now nobody else writes
            if row["completed_at"] is not None:
                await in_thread(part.remove)  # opening it has made it again
            _goes_on_at(row, offset)
            return await self._receive(part, row, stream)

    async def _receive(self, part: PartFile, row: Row, stream: AsyncIterable[bytes]) -> Upload:
        part.begin(row["received"])
        try:
            await self._keep(part, row, stream)
        except (InvalidRequest, PayloadTooLarge):
            await self._discard(row, part)
            raise
        except BaseException:
            await asyncio.shield(self._note(part, row))  # to go on from here
            raise
        if row["size"] is not None and part.received < row["size"]:
            await self._note(part, row)
            return self._shown({**row, "received": part.received})
        return await self._finish(part, row)

    async def _keep(self, part: PartFile, row: Row, stream: AsyncIterable[bytes]) -> None:
        """Write what comes, in pieces of a size that is worth a thread."""
        waiting = bytearray()
        settled = part.received
        others = await self.database.read(lambda c: table.total(c, row["owner"], row["id"]))
        try:
            async for piece in stream:
                waiting += piece
                came = part.received + len(waiting)
                if row["size"] is not None and came > row["size"]:
                    raise _wrong(f"more than the announced {row['size']} bytes came")
                self._check_limit(others + came)
                if len(waiting) >= CHUNK:
                    data, waiting = bytes(waiting), bytearray()
                    await in_thread(partial(part.write, data))
                if part.received - settled >= SETTLE_EVERY:
                    await asyncio.to_thread(check_room, self.folder, 0)
                    await self._note(part, row)
                    settled = part.received
        finally:
            if waiting:
                await in_thread(partial(part.write, bytes(waiting)))

    async def _note(self, part: PartFile, row: Row) -> None:
        """Write down how much has come, after the disk has it."""
        await in_thread(part.settle)
        received, at = part.received, datetime.now(UTC)
        await self.database.write(lambda c: table.change(c, row["id"], received=received, used_at=at))

    async def _discard(self, row: Row, part: PartFile) -> None:
        await self.database.write(lambda c: table.remove(c, row["id"]))
        await in_thread(part.remove)

    async def _finish(self, part: PartFile, row: Row) -> Upload:
        """Prove the whole file and publish it."""
        digest = await in_thread(part.digest)
        if row["digest"] not in (None, digest):
            await self._discard(row, part)
            raise _wrong(f"the file's digest is {digest}, not the announced {row['digest']}")
        await in_thread(part.settle)
        await in_thread(partial(part.publish, whole_file(self.folder, row["owner"], digest)))
        at = datetime.now(UTC)
        done = {"digest": digest, "size": part.received, "received": part.received, "completed_at": at, "used_at": at}

        def store(connection: Connection) -> Row:
            other = table.get(connection, row["owner"], digest)
            if other is not None and other["id"] != row["id"] and other["completed_at"] is not None:
                table.remove(connection, row["id"])  # the same file came twice: it is one
                table.touch(connection, row["owner"], [digest], at)
                return other
            table.change(connection, row["id"], **done)
            return {**row, **done}

        return self._shown(await self.database.write(store))

    # --- What is there

    async def get(self, name: str, owner: str) -> Upload:
        """Return an upload by its id or digest; raises `NotFound`."""
        return self._shown(await self.database.read(lambda c: _owned(c, owner, name)))

    async def list(self, owner: str, *, limit: int, cursor: str | None = None) -> UploadPage:
        """Return a page of uploads, newest first."""
        after = None
        if cursor is not None:
            at, last = cursors.decode(cursor, "uploads", int, str)
            after = (cursors.decode_moment(at), str(last))
        rows = await self.database.read(lambda c: table.page(c, owner, limit=limit + 1, after=after))
        following = None
        if len(rows) > limit:
            last_row = rows[limit - 1]
            moment = cursors.encode_moment(last_row["created_at"])
            following = cursors.encode("uploads", moment, last_row["id"])
        return UploadPage(items=[self._shown(row) for row in rows[:limit]], next_cursor=following)

    async def delete(self, name: str, owner: str) -> None:
        """Remove an upload.

        Raises
        ------
        NotFound
        Conflict
            A job that has not ended names it.
        """

        def forget(connection: Connection) -> Row:
            row = _owned(connection, owner, name)
            if row["completed_at"] is not None and table.in_use(connection, owner, row["digest"]):
                raise Conflict("a job that has not ended uses this upload")
            table.remove(connection, row["id"])
            return row

        await self._remove_file(await self.database.write(forget))

    # --- What is not needed any more

    async def expire(self, now: datetime | None = None) -> int:
        """Remove what nobody used for `kept_for`; return how many uploads that were."""
        moment = (now or datetime.now(UTC)) - self.kept_for

        def forget(connection: Connection) -> list[Row]:
            rows = list(table.unused_since(connection, moment))
            for row in rows:
                table.remove(connection, row["id"])
            return list(rows)

        rows = await self.database.write(forget)
        for row in rows:
            await self._remove_file(row)
        known = await self.database.read(table.ids)
        await asyncio.to_thread(self._remove_orphans, known)
        return len(rows)

    async def _watch(self) -> None:
        while True:
            try:
                await self.expire()
            except (GatewayError, OSError) as error:
                log.warning("uploads that have expired could not be removed: %s", error)
            await asyncio.sleep(LOOK_EVERY)

    def _remove_orphans(self, known: set[str]) -> None:
        """Remove parts of uploads that no row names: their process ended between row and file."""
        before = (datetime.now(UTC) - ORPHAN_AGE).timestamp()
        for file in self.folder.glob("*.part"):
            with contextlib.suppress(OSError):
                if file.stem not in known and file.stat().st_mtime < before:
                    file.unlink()

    async def _remove_file(self, row: Row) -> None:
        file: Path = part_file(self.folder, row["id"])
        if row["completed_at"] is not None:
            file = whole_file(self.folder, row["owner"], row["digest"])
        await asyncio.to_thread(partial(file.unlink, missing_ok=True))

    async def _complete(self, owner: str, digest: str) -> Upload | None:
        row = await self.database.read(lambda c: table.get(c, owner, digest))
        if row is None or row["completed_at"] is None:
            return None
        at = datetime.now(UTC)
        await self.database.write(lambda c: table.touch(c, owner, [digest], at))
        return self._shown({**row, "used_at": at})

    def _check_limit(self, total: int) -> None:
        if total > self.limit:
            raise PayloadTooLarge(
                f"your uploads would take {total} bytes, and {self.limit} are allowed",
                hint="delete uploads that you do not need any more: GET /api/v1/uploads lists them",
            )

    def _shown(self, row: Row | dict[str, Any]) -> Upload:
        return Upload(
            id=row["id"],
            digest=row["digest"],
            size=row["size"],
            received=row["received"],
            complete=row["completed_at"] is not None,
            created_at=row["created_at"],
            expires_at=row["used_at"] + self.kept_for,
        )


def _owned(connection: Connection, owner: str, name: str) -> Row:
    row = table.get(connection, owner, name)
    if row is None:
        raise NotFound(f"there is no upload {name[:80]!a}")
    return row


def _goes_on_at(row: Row, offset: int) -> None:
    if row["completed_at"] is not None:
        raise Conflict("the upload is complete")
    if offset != row["received"]:
        raise Conflict(f"the upload goes on at byte {row['received']}, not {offset}")


def _wrong(detail: str) -> InvalidRequest:
    return InvalidRequest([FieldError("#", detail)], detail)
