"""Work at images of the catalogue that takes a while: reading a whole file once, and checking its mirrors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal

from sqlalchemy import Connection

from gateway.db import images as table
from gateway.db.database import Database
from gateway.errors import GatewayError, ImageError, NotFound, UrlError
from gateway.images.entry import ImageEntry
from gateway.images.health import host_of, look_at
from gateway.images.measure import CHUNK, Measure, Measured
from gateway.images.rows import load
from gateway.images.showing import work_of
from gateway.images.signatures import signature_problem
from gateway.urls import UrlOpener

log = logging.getLogger(__name__)

Kind = Literal["read", "check"]

BEAT = 1.0
"""Seconds between two notes of how far it is."""
AT_ONCE = 2
"""Images that one process works at; the others wait for their turn."""
MIRRORS_AT_ONCE = 4
MOST = 2**40
"""Bytes of an image."""
LONGEST = 24 * 3600.0
"""Seconds that reading an image from one mirror may take."""


@dataclass
class _Progress:
    """How far the work at one image is."""

    kind: Kind
    bytes: int = 0
    total: int | None = None

    def note(self, state: str, problem: str | None = None) -> dict[str, Any]:
        """Return it as the database keeps it."""
        at = datetime.now(UTC).isoformat()
        return {
            "kind": self.kind,
            "state": state,
            "bytes": self.bytes,
            "total": self.total,
            "problem": problem,
            "at": at,
        }


class ImageReader:
    """Reads and checks images, as tasks of this process; how far they are stands in the database.

    Attributes
    ----------
    trusted
        Public keys that signatures beside images may be of; without any, none is looked at.
    """

    def __init__(self, database: Database, urls: UrlOpener) -> None:
        self.database = database
        self.urls = urls
        self.trusted: Sequence[str] = ()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def begin(self, image_id: str, kind: Kind, *, full: bool = False) -> None:
        """Begin unless something is under way with this image. Raises `NotFound`.

        Parameters
        ----------
        full
            Read the whole file after the check.
        """
        progress = _Progress(kind)

        def write(connection: Connection) -> bool:
            row = table.find(connection, image_id)
            if row is None:
                raise NotFound(f"there is no image {image_id}")
            work = work_of(row["work"], datetime.now(UTC))
            if work is not None and work.state == "running":
                return False
            table.note_work(connection, image_id, progress.note("running"))
            return True

        if await self.database.write(write):
            task = asyncio.create_task(self._run(image_id, progress, full=full), name=f"{kind} image {image_id}")
            self._tasks[image_id] = task
            task.add_done_callback(lambda done: self._forget(image_id, done))

    async def close(self) -> None:
        """End all work; it can be asked for again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, image_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(image_id) is task:
            del self._tasks[image_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("image %s: the work at it failed", image_id, exc_info=error)

    async def _run(self, image_id: str, progress: _Progress, *, full: bool) -> None:
        beat = asyncio.create_task(self._beat(image_id, progress))
        state, problem = "interrupted", None
        try:
            async with self._turn:
                entry = await self.database.read(lambda c: load(c, image_id))
                if entry is None:
                    return
                if progress.kind == "check":
                    await self._check(entry)
                if progress.kind == "read" or full:
                    await self._read(entry, progress)
            state = "done"
        except GatewayError as error:
            state, problem = "failed", error.message
        except Exception:
            state, problem = "failed", "an unexpected error; the gateway's log has more"
            raise
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            with contextlib.suppress(GatewayError):
                await self.database.write(lambda c: table.note_work(c, image_id, progress.note(state, problem)))

    async def _beat(self, image_id: str, progress: _Progress) -> None:
        while True:
            await asyncio.sleep(BEAT)
            with contextlib.suppress(GatewayError):
                await self.database.write(lambda c: table.note_work(c, image_id, progress.note("running")))

    async def _check(self, entry: ImageEntry) -> None:
        turn = asyncio.Semaphore(MIRRORS_AT_ONCE)

        async def one(url: str) -> None:
            async with turn:
                seen = await look_at(self.urls, url, entry)
                if seen.state == "alive" and entry.digest is not None:
                    problem = await signature_problem(self.urls, url, entry.digest, self.trusted)
                    seen = replace(seen, problem=problem or seen.problem)
            values = {"state": seen.state, "rate_bytes_per_s": seen.rate_bytes_per_s, "problem": seen.problem}
            await self.database.write(lambda c: table.note_mirror(c, entry.id, url, **values))

        async with asyncio.TaskGroup() as group:
            for mirror in entry.mirrors:
                group.create_task(one(mirror.url))

    async def _read(self, entry: ImageEntry, progress: _Progress) -> None:
        """Read the whole file from the first mirror that has it, and write down what it is."""
        problems = []
        for url in [mirror.url for mirror in entry.mirrors if host_of(mirror.url) is not None]:
            progress.bytes, progress.total = 0, entry.size
            try:
                measured = await self._measure(url, progress)
                if entry.digest not in (None, measured.digest):
                    raise ImageError(f"the file's digest is {measured.digest}, not {entry.digest}")
            except GatewayError as error:
                state = "dead" if isinstance(error, UrlError) else "wrong"
                values = {"state": state, "problem": error.message}
                await self.database.write(lambda c, u=url, v=values: table.note_mirror(c, entry.id, u, **v))  # type: ignore[misc]
                problems.append(f"{host_of(url)}: {error.message.removeprefix(f'{host_of(url)}: ')}")
                continue
            await self.database.write(lambda c, u=url, m=measured: learn(c, entry.id, m, u))  # type: ignore[misc]
            return
        raise ImageError("; ".join(problems) or "it has no mirror that the gateway could read it from")

    async def _measure(self, url: str, progress: _Progress) -> Measured:
        """Read a whole file once."""
        measure = Measure()
        try:
            async with asyncio.timeout(LONGEST), self.urls.follow(url) as response:
                if response.status_code != HTTPStatus.OK:
                    raise UrlError(f"it answers with status {response.status_code}")
                length = response.headers.get("Content-Length", "")
                progress.total = int(length) if length.isascii() and length.isdigit() else None
                async for chunk in response.aiter_raw(CHUNK):
                    await asyncio.to_thread(measure.take, chunk)
                    progress.bytes = measure.size
                    if measure.size > MOST:
                        raise ImageError(f"the file has more than {MOST} bytes")
        except TimeoutError:
            raise UrlError(f"the file did not arrive within {LONGEST:g} s") from None
        return measure.end()


def learn(connection: Connection, image_id: str, measured: Measured, url: str | None = None) -> str:
    """Write down what a whole reading found; return the image's id.

    Where the very file is in the catalogue already, the two become one: that one's, with the names and mirrors of both.

    Parameters
    ----------
    url
        The mirror that it was read from.
    """
    same = table.find(connection, measured.digest)
    if same is not None and same["id"] != image_id:
        _merge(connection, image_id, same["id"])
        image_id = str(same["id"])
    values = {"digest": measured.digest, "size": measured.size, "media_type": measured.media_type}
    table.update(
        connection, image_id, **values, piece_size=measured.pieces.size, pieces=measured.pieces.hashes, live=True
    )
    if url is not None:
        table.note_mirror(connection, image_id, url, state="alive", problem=None)
    return image_id


def _merge(connection: Connection, from_id: str, to_id: str) -> None:
    given, kept = load(connection, from_id), load(connection, to_id)
    assert given is not None
    assert kept is not None
    table.remove(connection, from_id)
    table.set_names(connection, to_id, (*kept.names, *given.names))
    mirrors = {mirror.url: mirror.region for mirror in (*given.mirrors, *kept.mirrors)}
    table.set_mirrors(connection, to_id, [(url, mirrors[url]) for url in mirrors])
    sources = list(dict.fromkeys((*kept.sources, *given.sources)))
    categories = sorted({*kept.categories, *given.categories})
    table.update(connection, to_id, sources=sources, categories=categories)
