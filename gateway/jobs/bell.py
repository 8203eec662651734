"""A bell: whoever wrote an intent rings it, so that the engine need not wait for its next tick."""

from __future__ import annotations

import asyncio
from collections import defaultdict


class Bell:
    """One bell a target. Rings are kept until somebody waits; several count as one."""

    def __init__(self) -> None:
        self._rung: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def ring(self, target: str) -> None:
        """Wake whoever waits for `target`. Call it on the event loop's thread."""
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
