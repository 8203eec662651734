"""What the other processes of a PostgreSQL database say: that they wrote something, or that somebody should look."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from gateway.db.database import CHANNEL, Database

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds before a connection that broke is opened again."""


class Told:
    """Listens on one connection of its own, and opens it again when it breaks. On SQLite there is nothing to hear.

    Parameters
    ----------
    hear
        Called on the event loop's thread with the words of another process.
    again
        Called there when the connection is (again) open: what was said before was not heard.
    """

    def __init__(self, database: Database, hear: Callable[[str], None], again: Callable[[], None]) -> None:
        self._database = database
        self._hear = hear
        self._again = again
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        if not self._database.is_sqlite:
            self._task = asyncio.create_task(self._run(), name="told")

    async def stop(self) -> None:
        """End the listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:
                log.debug("the database's notifications: %s", error)
            await asyncio.sleep(PAUSE)

    async def _listen(self) -> None:
        engine = self._database.engine
        arguments, options = engine.dialect.create_connect_args(engine.url)
        module: Any = engine.dialect.dbapi
        async with contextlib.AsyncExitStack() as stack:
            opened = await module.AsyncConnection.connect(*arguments, **options, autocommit=True)
            connection = await stack.enter_async_context(opened)
            await connection.execute(f"LISTEN {CHANNEL}")
            self._again()
            async for notice in connection.notifies():
                sender, _, words = notice.payload.partition(" ")
                if sender != self._database.name:
                    self._hear(words)
