"""What a site allows all gateway processes together: commands and connections a minute, and commands at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.settings import BudgetSettings

WINDOW = 60.0


class Budget:
    """One process's equal share of a site's budget. What is over it waits; nothing is refused.

    Attributes
    ----------
    processes
        How many share the budget now.
    used_by_all
        Commands of the last minute, of all processes, as they last said.
    """

    def __init__(self, settings: BudgetSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.processes = 1
        self.used_by_all = 0
        self._clock = clock
        self._begun: deque[float] = deque()
        self._connected: deque[float] = deque()
        self.open = 0
        """Commands that run now."""
        self._changed = asyncio.Condition()

    @property
    def used(self) -> int:
        """Commands that this process began within the last minute."""
        return self._within(self._begun)

    @property
    def connections(self) -> int:
        """Connections that this process opened within the last minute."""
        return self._within(self._connected)

    def _within(self, moments: deque[float]) -> int:
        while moments and moments[0] <= self._clock() - WINDOW:
            moments.popleft()
        return len(moments)

    def shared_by(self, processes: int, used_by_all: int) -> None:
        """Note how many processes share it; each takes an equal part, one at least."""
        self.processes, self.used_by_all = max(1, processes), used_by_all

    def share(self, whole: int) -> int:
        """Return this process's part of a number."""
        return max(1, whole // self.processes)

    def wait(self) -> float:
        """Return the seconds until one more command may begin."""
        return self._wait(self.settings.commands_per_minute, self._begun)

    def _wait(self, allowed: int | None, moments: deque[float]) -> float:
        if allowed is None or self._within(moments) < self.share(allowed):
            return 0.0
        return max(0.01, moments[-self.share(allowed)] + WINDOW - self._clock())

    async def connection(self) -> None:
        """Wait until one more connection may be opened, and count it."""
        while pause := self._wait(self.settings.connections_per_minute, self._connected):  # noqa: ASYNC110
            await asyncio.sleep(pause)
        self._connected.append(self._clock())

    @asynccontextmanager
    async def command(self) -> AsyncIterator[None]:
        """Hold a place for one command."""
        async with self._changed:
            await self._changed.wait_for(self._has_room)
            self.open += 1
        try:
            while pause := self.wait():  # noqa: ASYNC110  (time is what is waited for)
                await asyncio.sleep(pause)
            self._begun.append(self._clock())
            yield
        finally:
            async with self._changed:
                self.open -= 1
                self._changed.notify_all()

    def _has_room(self) -> bool:
        return self.settings.channels is None or self.open < self.share(self.settings.channels)
