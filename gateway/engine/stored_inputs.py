"""Inputs that the gateway has or can fetch from a store: uploads and outputs of other jobs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO

from sqlalchemy import Connection

from gateway.db import jobs, uploads
from gateway.db.database import Database
from gateway.errors import NoRoom, NotFound, StagingFailed
from gateway.jobs.input_checks import find_output
from gateway.jobs.upload_files import check_room, in_thread, whole_file
from gateway.jobs.views import Row
from gateway.model.specification import Input
from gateway.model.states import ENDED, State
from gateway.storage.stores.base import Place, Store

LOOK_EVERY = 2.0
"""Seconds between looks at a job whose output is waited for."""


class StoredInputs:
    """Brings files of one person's into files of the gateway.

    Parameters
    ----------
    folder
        Of the uploads.
    """

    def __init__(self, database: Database, stores: Mapping[str, Store], folder: Path) -> None:
        self._database = database
        self._stores = stores
        self._folder = folder

    async def bring_upload(self, digest: str, owner: str, file: Path) -> None:
        """Put an upload at `file`; its sender may remove the upload from then on.

        Raises
        ------
        StagingFailed
            It is not there.
        """
        source = whole_file(self._folder, owner, digest)
        try:
            await asyncio.to_thread(_link_or_copy, source, file)
        except FileNotFoundError:
            raise StagingFailed(f"the upload {digest} is not there any more") from None
        at = datetime.now(UTC)
        await self._database.write(lambda c: uploads.touch(c, owner, [digest], at))

    async def bring_output(self, item: Input, owner: str, file: Path, slots: asyncio.Semaphore) -> None:
        """Copy an output of another job to `file`, once that job has ended.

        Raises
        ------
        StagingFailed
            The job is gone or has no such output, or its bytes are not those that were stored.
        StoreError, StoreUnreachable
        """
        job, found = await self._ended(item, owner)
        name = found["store"]
        if name not in self._stores:
            raise StagingFailed(f"store {name} is not configured any more")
        places = await self._database.read(lambda c: jobs.stores_of(c, [job["id"]])[job["id"]])
        path = next((row["path"] for row in places if row["store"] == name), None)
        place = Place(job["id"], job["owner"], job["case"], path)
        async with slots:
            await asyncio.to_thread(check_room, file.parent, found["size"])
            try:
                await _copy(self._stores[name], place, found, file)
            except NotFound:
                said = f"output {item.output!a} of job {item.job} is not in store {name} any more"
                raise StagingFailed(said) from None

    async def _ended(self, item: Input, owner: str) -> tuple[Row, Row]:
        """Wait until the other job has ended; return its row and that of its output."""
        while True:
            job, found = await self._database.read(partial(self._look, item=item))
            if job is None or job["owner"] != owner:
                raise StagingFailed(f"job {item.job} is not there any more")
            if State(job["state"]) in ENDED:
                break
            await asyncio.sleep(LOOK_EVERY)
        if found is None:
            raise StagingFailed(f"job {item.job} ended as {job['state']} and has no final output {item.output!a}")
        return job, found

    @staticmethod
    def _look(connection: Connection, item: Input) -> tuple[Row | None, Row | None]:
        assert item.job is not None
        assert item.output is not None
        job = jobs.get(connection, item.job)
        return job, None if job is None else find_output(connection, item.job, item.output, job["stores"])


async def _copy(store: Store, place: Place, found: Row, file: Path) -> None:
    """Write an object to a file; nothing is left where its bytes are not those of its row in the catalogue."""
    proof, size = hashlib.sha256(), 0

    def add(stream: IO[bytes], data: bytes) -> None:
        stream.write(data)
        proof.update(data)

    try:
        with file.open("xb") as stream:
            async with aclosing(store.read(place, found["path"])) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    await in_thread(partial(add, stream, piece))
                    size += len(piece)
        if size != found["size"] or found["digest"] not in (None, f"sha256:{proof.hexdigest()}"):
            raise StagingFailed(f"output {found['path']!a} is not what was stored: it was changed since")
    except BaseException as error:
        with suppress(OSError):
            os.unlink(file)  # noqa: PTH108 - at once: what was cancelled waits for nothing
        if isinstance(error, OSError):
            raise NoRoom(f"the gateway's disk: {error.strerror}") from None
        raise


def _link_or_copy(source: Path, file: Path) -> None:
    try:
        os.link(source, file, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(source, file)
