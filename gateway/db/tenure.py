"""How long this process may drive a lane, and a database that writes only for so long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from gateway.db import leases
from gateway.db.database import Database
from gateway.db.leases import Lease
from gateway.errors import LeaseLost

T = TypeVar("T")


def clock() -> float:
    """Return seconds that go on while the process is stopped and the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Tenure:
    """A lease as its holder knows it: over at `until` by this machine's clock, unless renewed.

    Attributes
    ----------
    until
        Counted from before the database was asked, so it is never later than what the database says.
    lost
        Set when the lease was found lost: its loop has to end.
    beaten_by
        The later token that the target knows; None where it refused nothing.
    """

    def __init__(self, lease: Lease, until: float) -> None:
        self.lease = lease
        self.until = until
        self.lost = asyncio.Event()
        self.beaten_by: int | None = None

    @property
    def left(self) -> float:
        """Seconds that are left; 0 when it is lost."""
        return 0.0 if self.lost.is_set() else max(0.0, self.until - clock())

    def check(self) -> None:
        """Raise `LeaseLost` when the time is over. Call it before everything that changes something."""
        if not self.left:
            self.lost.set()
            raise LeaseLost(f"the lease of {self.lease.lane} is over")

    def beaten(self, token: int) -> None:
        """Note that the target knows a later token."""
        self.beaten_by = token
        self.lost.set()


class FencedDatabase(Database):
    """A `Database` whose writes are those of a lane's holder: after the lease they raise `LeaseLost`, all undone."""

    def __init__(self, database: Database, tenure: Tenure) -> None:
        self.__dict__.update(database.__dict__)  # the same engines, threads and listeners
        self._tenure = tenure

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Run `function` in a transaction that checks the lease."""
        try:
            return await super().write(self._fenced(function))
        except LeaseLost:
            self._tenure.lost.set()
            raise

    def write_here(self, function: Callable[[Connection], T]) -> T:
        """Run `function` in a transaction that checks the lease."""
        return super().write_here(self._fenced(function))

    def _fenced(self, function: Callable[[Connection], T]) -> Callable[[Connection], T]:
        def run(connection: Connection) -> T:
            leases.check(connection, self._tenure.lease)
            return function(connection)

        return run

    def close(self) -> None:
        """There is nothing of its own to end."""
