"""The other gateway processes of a PostgreSQL database: what they tell this one, what it tells them, who is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from gateway.compute.target import Target
from gateway.db import leases
from gateway.db.database import WRITTEN, Database
from gateway.db.told import Told
from gateway.jobs.bell import Bell

log = logging.getLogger(__name__)

PRESENT = 15.0
"""Seconds for which a process says that it is there."""
EVERY = 3.0
RING, CHECK = "ring", "check"


class Neighbours:
    """Carries bells and news between processes. On SQLite nobody is told: those that serve look by themselves.

    Parameters
    ----------
    driven
        Gives the lanes that this process drives: bells of others are rung where they hang.
    """

    def __init__(
        self,
        database: Database,
        bell: Bell,
        targets: Mapping[str, Target],
        driven: Callable[[], Collection[str]],
    ) -> None:
        self._database = database
        self._bell = bell
        self._targets = targets
        self._driven = driven
        self._told = Told(database, self._hear, self._news)
        self._telling: set[asyncio.Task[None]] = set()
        self._being: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen and to be seen."""
        if self._database.is_sqlite:
            return
        self._bell.elsewhere = self._ring
        self._told.start()
        await self._present()
        self._being = asyncio.create_task(self._be(), name="presence")

    async def stop(self) -> None:
        """End it."""
        self._bell.elsewhere = None
        await self._told.stop()
        for task in (*self._telling, *([self._being] if self._being else [])):
            task.cancel()
        await asyncio.gather(*self._telling, *([self._being] if self._being else []), return_exceptions=True)
        if self._being is not None:
            try:
                await self._database.write_beside(lambda c: leases.absent(c, self._database.name))
            except Exception as error:  # it is forgotten by itself
                log.debug("this process could not sign off: %s", error)

    def check(self, lane: str) -> None:
        """Have whoever drives a lane try again at once what needed a person."""
        if not self._database.is_sqlite and lane not in self._driven():
            self._tell(f"{CHECK} {lane}")

    def _ring(self, lane: str) -> None:
        if lane not in self._driven():
            self._tell(f"{RING} {lane}")

    def _tell(self, words: str) -> None:
        async def tell() -> None:
            try:
                await self._database.tell(words)
            except Exception as error:  # the others look by themselves, a little later
                log.debug("the other processes could not be told: %s", error)

        task = asyncio.create_task(tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def _hear(self, words: str) -> None:
        word, _, lane = words.partition(" ")
        if word == WRITTEN:
            self._news()
        elif lane in self._targets and word in (RING, CHECK):
            if word == CHECK:
                self._targets[lane].transport.reset()
            self._bell.ring_here(lane)

    def _news(self) -> None:
        for listener in self._database.listeners:
            listener()

    async def _be(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._present()
            except Exception as error:
                log.debug("this process could not say that it is there: %s", error)

    async def _present(self) -> None:
        used = {lane: budget.used for lane, target in self._targets.items() if (budget := target.transport.budget)}
        there = await self._database.write_beside(lambda c: leases.present(c, self._database.name, used, PRESENT))
        for lane, target in self._targets.items():
            if target.transport.budget is not None:
                target.transport.budget.shared_by(len(there), sum(found.get(lane, 0) for found in there))
