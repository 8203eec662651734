"""A bell: whoever wrote an intent rings it, so that the engine need not wait for its next tick."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable


class Bell:
    """One bell a target. Rings are kept until somebody waits; several count as one."""

    def __init__(self) -> None:
        self._rung: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.elsewhere: Callable[[str], None] | None = None
        """Told of each ring, for those who wait in other processes."""

    def ring(self, target: str) -> None:
        """Wake whoever waits for `target`. Call it on the event loop's thread."""
        self.ring_here(target)
        if self.elsewhere is not None:
            self.elsewhere(target)

    def ring_here(self, target: str) -> None:
        """Wake whoever waits for `target` in this process."""
        self._rung[target].set()

    async def wait(self, target: str, timeout: float) -> bool:
        """Wait at most `timeout` seconds; return whether the bell was rung."""
        try:
            async with asyncio.timeout(timeout):
                await self._rung[target].wait()
        except TimeoutError:
            return False
        self._rung[target].clear()
        return True
