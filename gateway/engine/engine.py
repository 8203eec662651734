"""The engine: one driver a target, started and stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from gateway.compute.target import Target
from gateway.db.database import Database
from gateway.engine.driver import Surroundings, TargetDriver
from gateway.engine.finalise import Finaliser
from gateway.engine.timing import Timing
from gateway.jobs.bell import Bell
from gateway.jobs.board import Board
from gateway.settings import Settings
from gateway.storage.stores.base import Store


class Engine:
    """Drives all targets. Stopping it ends no job; starting it again goes on where the database says."""

    def __init__(
        self,
        *,
        database: Database,
        settings: Settings,
        targets: Mapping[str, Target],
        stores: Mapping[str, Store],
        bell: Bell,
        board: Board,
        data: Path,
        timing: Timing | None = None,
    ) -> None:
        self.settings = settings
        timing = timing or Timing()
        around = Surroundings(database, stores, bell, board, Finaliser(database, stores, data, timing), timing)
        self.drivers = [TargetDriver(target, around) for target in targets.values()]
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the loops."""
        self._tasks = [asyncio.create_task(driver.run(), name=f"drive {driver.target.name}") for driver in self.drivers]

    async def stop(self) -> None:
        """Stop the loops and what they started here."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(driver.stop() for driver in self.drivers))
