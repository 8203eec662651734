"""Who drives which lane, where several processes share a database: takes leases, keeps them, and runs the drivers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.compute.target import Target
from gateway.compute.transport.fenced import Fence, FencedTransport
from gateway.db import leases
from gateway.db.database import Database, DatabaseUnavailable
from gateway.db.leases import Lease
from gateway.db.tenure import Tenure, clock
from gateway.engine.driver import TargetDriver
from gateway.jobs.board import Board
from gateway.storage import lifeline

log = logging.getLogger(__name__)

LEASE = 9.0
"""Seconds that a lease lasts."""
EVERY = 2.5
"""Seconds between two rounds: a holder that died is replaced within both together."""


@dataclass
class _Running:
    """A lane that this process drives, and the task that does."""

    tenure: Tenure
    task: asyncio.Task[None]


MakeDriver = Callable[[Target, Tenure], TargetDriver]


class Lanes:
    """Drives the lanes whose leases this process holds, each for as long as it does.

    Parameters
    ----------
    make
        Makes the driver of a lane whose target is behind its fence already.
    over
        Called with a lane's name when it is not driven here any more.
    """

    def __init__(
        self,
        database: Database,
        targets: Mapping[str, Target],
        board: Board,
        make: MakeDriver,
        over: Callable[[str], None],
    ) -> None:
        self._database = database
        self._targets = targets
        self._board = board
        self._make = make
        self._over = over
        self._identity = ""
        self._running: dict[str, _Running] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def held(self) -> frozenset[str]:
        """Names of the lanes that this process drives now."""
        return frozenset(lane for lane, running in self._running.items() if running.tenure.left)

    async def start(self) -> None:
        """Take what can be had, then go on trying."""
        self._identity = await self._database.write(leases.identity)
        await self._round()
        self._task = asyncio.create_task(self._run(), name="leases")

    async def stop(self) -> None:
        """End all loops, then let other processes take the lanes."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        held = self.held
        for running in self._running.values():
            running.tenure.lost.set()
        await asyncio.gather(*(running.task for running in self._running.values()), return_exceptions=True)
        self._running.clear()
        if held:
            with contextlib.suppress(DatabaseUnavailable):  # then the leases run out by themselves
                await self._database.write_beside(lambda c: leases.release(c, self._database.name, held))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self._round()
            except Exception as error:  # the leases run out by themselves
                log.warning("the leases could not be renewed: %s", error)
            for running in self._running.values():
                if not running.tenure.left:
                    running.tenure.lost.set()

    async def _round(self) -> None:
        """Renew what is held, take what is free."""
        statuses = {lane: _status(self._board, lane) for lane in self._targets}
        for running in self._running.values():
            if running.tenure.beaten_by is not None:
                await self._outbid(running.tenure, running.tenure.beaten_by)
        asked = clock()
        found = await self._database.write_beside(lambda c: leases.keep(c, self._database.name, statuses, LEASE))
        for lane in self._targets:
            self._follow(lane, found.get(lane), asked + LEASE)

    def _follow(self, lane: str, lease: Lease | None, until: float) -> None:
        running = self._running.get(lane)
        if running is not None and lease == running.tenure.lease and not running.tenure.lost.is_set():
            running.tenure.until = until
        elif running is not None:
            running.tenure.lost.set()
            if running.task.done():
                del self._running[lane]
                running = None
        if running is None and lease is not None:
            tenure = Tenure(lease, until)
            task = asyncio.create_task(self._drive(self._targets[lane], tenure), name=f"drive {lane}")
            self._running[lane] = _Running(tenure, task)

    async def _outbid(self, tenure: Tenure, token: int) -> None:
        lease = tenure.lease
        tenure.beaten_by = None
        if await self._database.write_beside(lambda c: leases.outbid(c, lease, token)):
            log.error("target %s knows token %d, later than the database: was it restored?", lease.lane, token)

    async def _drive(self, target: Target, tenure: Tenure) -> None:
        """Drive one lane until its lease is lost."""
        log.info("this process drives %s now (token %d)", target.name, tenure.lease.token)
        lifeline.allowance.set(lambda: tenure.left)
        driver = self._make(self._behind_fence(target, tenure), tenure)
        loop = asyncio.create_task(driver.run(), name=f"ticks of {target.name}")
        lost = asyncio.create_task(tenure.lost.wait(), name=f"lease of {target.name}")
        try:
            await asyncio.wait({loop, lost}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tenure.lost.set()
            loop.cancel()
            lost.cancel()
            for ended in await asyncio.gather(loop, lost, return_exceptions=True):
                if isinstance(ended, Exception):
                    log.error("target %s: its loop ended", target.name, exc_info=ended)
            await driver.stop()
            await driver.around.images.close()
            self._over(target.name)
            log.info("this process does not drive %s any more", target.name)

    def _behind_fence(self, target: Target, tenure: Tenure) -> Target:
        async def folder() -> str:
            return posixpath.join((await target.paths()).control_root, "fences")

        name = f"{self._identity}-{hashlib.sha256(target.name.encode()).hexdigest()[:16]}"
        fence = Fence(folder, name, tenure.lease.token, tenure.check, tenure.beaten)
        return target.over(FencedTransport(target.transport, fence))


def _status(board: Board, lane: str) -> dict[str, Any]:
    status = board[lane]
    at = status.observed_at
    return {"state": status.state, "message": status.message, "observed_at": at.isoformat() if at else None}
