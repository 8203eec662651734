"""How many channels one connection may have open at once; learns what the server allows (MaxSessions)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

START = 8
STRIKES = 3
"""Refusals at a limit that has worked before, without it being reached in between, that lower it."""
PATIENCE = 6
"""Refusals in a row, with growing pauses, before a call gives up."""


class ChannelLimit:
    """A semaphore whose limit shrinks. Belongs to one event loop.

    Attributes
    ----------
    limit
        Channels that may be open at once.
    proven
        The most that were open at once so far. The limit goes below it only after several refusals, because a
        server may refuse while it still clears away a channel that was just closed.
    """

    def __init__(self, start: int = START) -> None:
        self.limit = start
        self.proven = 1
        self._held = 0
        self._open = 0
        self._strikes = 0
        self._lock = threading.Lock()
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the channels."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._held < self.limit)
            self._held += 1
        try:
            yield
        finally:
            async with self._changed:
                self._held -= 1
                self._changed.notify_all()

    def opened(self) -> None:
        """Note that a channel was opened."""
        with self._lock:
            self._open += 1
            self.proven = max(self.proven, self._open)
            if self._open >= self.limit:
                self._strikes = 0

    def closed(self) -> None:
        """Note that it was closed."""
        with self._lock:
            self._open -= 1

    def refused(self, tried_with: int) -> None:
        """Lower the limit, once for all who tried under the same one.

        Parameters
        ----------
        tried_with
            The limit when the channel was asked for.
        """
        with self._lock:
            if tried_with != self.limit:
                return
            if self.limit > self.proven:
                self.limit = max(self.proven, self.limit // 2)
                return
            self._strikes += 1
            if self._strikes >= STRIKES and self.limit > 1:
                self.limit = self.proven = self.limit - 1
                self._strikes = 0
