"""Events as they come, for any number of readers: one query a change, not one a reader."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator

from gateway.db import events
from gateway.db.database import Database
from gateway.jobs.views import event_of
from gateway.model.job import Event

FALLBACK = 2.0
"""Seconds after which the database is asked without having been told: another process may write."""
HEARTBEAT = 15.0
_PAGE = 500
_QUEUE = 2000


class _Lost(Exception):
    """A reader was too slow for its queue."""


class _Reader:
    """One reader's queue. Too slow a reader loses the queue and reads the database instead."""

    def __init__(self, job_id: str | None, owner: str) -> None:
        self.job_id = job_id
        self.owner = owner
        self._lost = False
        self._waiting: deque[Event] = deque()
        self._filled = asyncio.Event()

    def offer(self, event: Event, owner: str | None) -> None:
        if owner != self.owner or self.job_id not in (None, event.job_id):
            return
        if len(self._waiting) >= _QUEUE:
            self._waiting.clear()
            self._lost = True
        self._waiting.append(event)
        self._filled.set()

    async def next(self, timeout: float) -> Event | None:
        if not self._waiting:
            self._filled.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._filled.wait()
        if self._lost:
            self._lost = False
            self._waiting.clear()
            raise _Lost
        return self._waiting.popleft() if self._waiting else None


class EventFeed:
    """Hands out events in the order of their sequence, without gap or repeat."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._readers: set[_Reader] = set()
        self._position: int | None = None
        self._wake = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen."""
        self.database.listeners.append(self._wake.set)
        self._pump = asyncio.create_task(self._run(), name="event feed")

    async def stop(self) -> None:
        """End the listening."""
        with contextlib.suppress(ValueError):
            self.database.listeners.remove(self._wake.set)
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)

    async def newest(self) -> int:
        """Return the sequence of the newest event of anybody, 0 where there is none."""
        return await self.database.read(events.last_sequence)

    async def page(self, owner: str, *, job_id: str | None = None, after: int = 0, limit: int = _PAGE) -> list[Event]:
        """Return events with a larger sequence than `after`, oldest first."""
        rows = await self.database.read(lambda c: events.after(c, after, job_id=job_id, owner=owner, limit=limit))
        return [event_of(row) for row in rows]

    async def stream(
        self, owner: str, *, job_id: str | None = None, after: int = 0, heartbeat: float = HEARTBEAT
    ) -> AsyncGenerator[Event | None, None]:
        """Yield events after a sequence for ever; None when `heartbeat` seconds passed without one."""
        reader = _Reader(job_id, owner)
        await self._enter(reader)
        try:
            while True:
                while found := await self.page(owner, job_id=job_id, after=after):
                    for event in found:
                        after = event.sequence
                        yield event
                with contextlib.suppress(_Lost):
                    while True:
                        following = await reader.next(heartbeat)
                        if following is None:
                            yield None
                        elif following.sequence > after:
                            after = following.sequence
                            yield following
        finally:
            self._leave(reader)

    async def _enter(self, reader: _Reader) -> None:
        if self._position is None:
            last = await self.database.read(events.last_sequence)
            if self._position is None:
                self._position = last
        self._readers.add(reader)
        self._wake.set()

    def _leave(self, reader: _Reader) -> None:
        self._readers.discard(reader)
        if not self._readers:
            self._position = None

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FALLBACK if self._readers else None):
                    await self._wake.wait()
            self._wake.clear()
            with contextlib.suppress(Exception):  # the next round tries again
                await self._hand_out()

    async def _hand_out(self) -> None:
        while self._readers and (position := self._position) is not None:
            rows = await self.database.read(lambda c, after=position: events.after(c, after, limit=_PAGE))  # type: ignore[misc]
            if self._position != position:
                continue
            for row in rows:
                self._position = row["sequence"]
                event = event_of(row)
                for reader in self._readers:
                    reader.offer(event, row["owner"])
            if len(rows) < _PAGE:
                return
