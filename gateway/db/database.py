"""The connection: SQLite or PostgreSQL, in threads of its own, migrated at start."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError

from gateway.errors import ConfigurationError, GatewayError

T = TypeVar("T")

CHANNEL = "gateway"
"""Of PostgreSQL's notifications between the processes that share a database."""
WRITTEN = "written"


class DatabaseUnavailable(GatewayError):
    """The database cannot be reached or is locked; nothing was changed."""

    status, problem, title = 503, "database", "The database is not available"


def check_url(url: str) -> None:
    """Raise `ConfigurationError` unless `url` is one of a database that can be used here. Opens nothing."""
    try:
        make_url(url).get_dialect().import_dbapi()
    except (ArgumentError, ImportError) as error:
        raise ConfigurationError(f"gateway.database cannot be used: {error}") from None


def connect(url: str) -> Engine:
    """Return an engine for `url`.

    Transactions that write take turns on every database, so that what one has read is so until it has written: on
    SQLite by BEGIN IMMEDIATE, on PostgreSQL by a lock that all gateways of the database share. On SQLite foreign keys
    are on, and the journal is WAL (local disks only: WAL needs shared memory).

    Raises
    ------
    ConfigurationError
        The URL is not one of a database.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            served = create_engine(parsed, pool_size=8, pool_pre_ping=True, connect_args=_WATCHED_LINK)
            event.listen(served, "connect", _prepare_postgresql)
            event.listen(served, "begin", _take_turn)
            return served
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = create_engine(parsed, connect_args={"timeout": 30, "check_same_thread": False})
    except (ArgumentError, ImportError) as error:
        raise ConfigurationError(f"gateway.database cannot be used: {error}") from None
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


_WATCHED_LINK = {"keepalives_idle": 5, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 15000}
"""A server that is gone is noticed within seconds, not hours."""
IDLE_IN_TRANSACTION = 5
"""Seconds after which the server ends the session of a process that froze in the middle of a transaction: it holds
locks that all others wait for."""
IDLE_IN_MIGRATION = 120
"""The same while tables are made: nobody waits for their locks yet, and a busy machine takes its time between two."""


def _prepare_postgresql(connection: Any, _record: object) -> None:
    connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION}s'")
    connection.commit()


_TURN = 0x5367_7721
"""Key of the lock of those who write."""


def _take_turn(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("gateway_read_only", False) and not options.get("gateway_beside", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_TURN})")


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("gateway_read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


class Database:
    """Runs functions of a `Connection` in transactions, off the event loop.

    Writers take turns in one thread, so they never wait for one another's lock; readers have four.

    Attributes
    ----------
    name
        Of this process among those that share the database: ``host:pid:<random>``.
    """

    def __init__(self, url: str) -> None:
        self.name = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.engine = connect(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        one_view = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader_engine = self.engine.execution_options(gateway_read_only=True, **one_view)
        self._beside_engine = self.engine.execution_options(gateway_beside=True)
        self._writers = ThreadPoolExecutor(1, "db-write")
        self._beside = ThreadPoolExecutor(1, "db-beside")
        self._readers = ThreadPoolExecutor(4, "db-read")
        self.listeners: list[Callable[[], None]] = []
        """Called on the event loop's thread after each committed write."""

    def migrate(self) -> None:
        """Bring the tables up to date."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        try:
            with self.engine.begin() as connection:
                if not self.is_sqlite:
                    patience = f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_IN_MIGRATION}s'"
                    connection.exec_driver_sql(patience)
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except OperationalError as error:
            raise DatabaseUnavailable(f"the database cannot be used: {error.orig}") from None

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Run `function` in a transaction: all of it, or nothing."""
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._writers, self._run, self.engine, self._telling(function))
        for listener in self.listeners:
            listener()
        return result

    async def write_beside(self, function: Callable[[Connection], T]) -> T:
        """Run a short `function` in a transaction that waits for no turn: for leases, never for jobs."""
        if self.is_sqlite:
            return await self.write(function)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._beside, self._run, self._beside_engine, function)

    async def tell(self, words: str) -> None:
        """Send words to the other processes of this database; see `gateway.db.told`."""
        if not self.is_sqlite:
            await self.write_beside(lambda c: self._tell(c, words))

    def _tell(self, connection: Connection, words: str) -> None:
        values = {"channel": CHANNEL, "words": f"{self.name} {words}"}
        connection.execute(text("SELECT pg_notify(:channel, :words)"), values)

    def _telling(self, function: Callable[[Connection], T]) -> Callable[[Connection], T]:
        """Let the other processes know, when it is committed, that something was written."""
        if self.is_sqlite:
            return function

        def run(connection: Connection) -> T:
            result = function(connection)
            self._tell(connection, WRITTEN)
            return result

        return run

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Run `function` on one consistent view."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._run, self._reader_engine, function)

    def read_here(self, function: Callable[[Connection], T]) -> T:
        """Run `function` on one consistent view in this thread. Blocking: never on the event loop's."""
        return self._run(self._reader_engine, function)

    def write_here(self, function: Callable[[Connection], T]) -> T:
        """Run `function` in a transaction, in its turn. Blocking: never on the event loop's thread."""
        return self._writers.submit(self._run, self.engine, self._telling(function)).result()

    @staticmethod
    def _run(engine: Engine, function: Callable[[Connection], T]) -> T:
        try:
            with engine.begin() as connection:
                return function(connection)
        except (OperationalError, InterfaceError) as error:
            raise DatabaseUnavailable(f"the database did not answer: {error.orig}") from None

    def close(self) -> None:
        """End the threads and connections."""
        self._writers.shutdown(wait=True)
        self._beside.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self.engine.dispose()
