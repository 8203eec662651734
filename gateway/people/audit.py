"""The audit log's writer: rows that are known at the same time share one transaction."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from gateway.db import people as table
from gateway.db.database import Database

log = logging.getLogger(__name__)

MAX_ROWS = 500
"""Of one transaction."""
FORGET_EVERY = 6 * 3600.0
"""Seconds between looks for rows that are too old."""
MAX_PATH = 2000
STRANGER = "-"
"""Stands for the person of a request without a valid token."""


@dataclass(frozen=True)
class Entry:
    """One request that could change something, and how it was answered."""

    person: str
    token: str | None
    request: str
    action: str
    method: str
    path: str
    owner: str | None
    status: int
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class AuditWriter:
    """Writes entries in groups: while one group is written, the next one gathers. Forgets what is old.

    A row that could not be written is told in the log, with all that it says, and the request is answered all the same.
    """

    def __init__(self, database: Database, days: float = 0) -> None:
        self.database = database
        self.days = days
        self._forgetting: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, entry: Entry) -> None:
        """Return when the entry is in the database."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(), name="audit")
        # The client may go, and the task of its request with it: the row is written all the same.
        await asyncio.shield(done)

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MAX_ROWS], self._waiting[MAX_ROWS:]
                rows = [{**asdict(entry), "path": entry.path[:MAX_PATH]} for entry, _ in group]
                try:
                    await self.database.write(partial(table.insert_audit, rows=rows))
                except Exception as error:
                    log.error("%d audit rows could not be written: %s", len(rows), error)
                    for entry, _ in group:
                        log.error("not in the audit log: %s", entry)
                for _, done in group:
                    if not done.done():
                        done.set_result(None)
        finally:
            self._writer = None

    def start(self) -> None:
        """Forget rows that are older than the audit log goes back, now and from time to time."""
        if self.days:
            self._forgetting = asyncio.create_task(self._forget_often(), name="forget audit")

    async def _forget_often(self) -> None:
        while True:
            try:
                await self.forget()
            except Exception as error:
                log.warning("old rows of the audit log could not be removed: %s", error)
            await asyncio.sleep(FORGET_EVERY)

    async def forget(self, now: datetime | None = None) -> int:
        """Remove rows that are too old, some at a time, so that other writers have their turn; return how many."""
        before = (now or datetime.now(UTC)) - timedelta(days=self.days)
        removed = MAX_ROWS
        found = 0
        while self.days and removed == MAX_ROWS:
            removed = await self.database.write(partial(table.forget_audit, before=before, limit=MAX_ROWS))
            found += removed
        return found

    async def close(self) -> None:
        """Write what waits."""
        if self._forgetting is not None:
            self._forgetting.cancel()
            await asyncio.gather(self._forgetting, return_exceptions=True)
        while self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)
