"""The composition root: everything one gateway process needs, put together and taken apart again."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import getpass
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel

from gateway import plugins
from gateway.compute.target import Target, absolute, build_target
from gateway.compute.transport.base import Transport
from gateway.db.database import Database, check_url
from gateway.errors import ConfigurationError, FieldError
from gateway.jobs.bell import Bell
from gateway.jobs.board import Board
from gateway.jobs.feed import EventFeed
from gateway.jobs.logs import LogService
from gateway.jobs.outputs import OutputService
from gateway.jobs.service import JobService
from gateway.settings import Secret, Settings
from gateway.storage.factory import build_store
from gateway.storage.stores.base import Store
from gateway.urls import read_allowed

if TYPE_CHECKING:
    from gateway.engine.engine import Engine

log = logging.getLogger(__name__)

_LISTEN = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9._-]*)):([0-9]{1,5})\Z")

TAKE_OVER_INTERVAL = 5.0
"""Seconds between tries to drive a data folder that another process drives."""


def person() -> str:
    """Return who runs this gateway: the owner of every job."""
    return getpass.getuser()


class DrivingLock:
    """One process drives the jobs of a data folder; the lock ends with the process, however it ends."""

    def __init__(self, data: Path) -> None:
        self._file = data / "lock"
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process drives."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Try to become the one that drives."""
        if self._descriptor is None:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False
            self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let another process drive."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Gateway:
    """A gateway: ``async with Gateway(settings) as gateway``.

    Parameters
    ----------
    drive
        Whether to act on jobs. Another process that holds the data folder's lock is waited for; until then this one
        only serves.

    Attributes
    ----------
    owner
        The person who runs this process.
    """

    def __init__(self, settings: Settings, *, drive: bool = True) -> None:
        self.settings = settings
        self.drive = drive
        self.owner = person()
        self.data = settings.gateway.data_folder
        self.targets: dict[str, Target] = {}
        self.stores: dict[str, Store] = {}
        self.board = Board()
        self.bell = Bell()
        self.lock = DrivingLock(self.data)
        self.database: Database
        self.jobs: JobService
        self.outputs: OutputService
        self.logs: LogService
        self.feed: EventFeed
        self._engine: Engine | None = None
        self._take_over: asyncio.Task[None] | None = None
        self._opened = contextlib.AsyncExitStack()

    @property
    def driving(self) -> bool:
        """Whether this process acts on jobs now."""
        return self._engine is not None

    async def __aenter__(self) -> Self:
        """Open everything.

        Raises
        ------
        ConfigurationError
            The configuration cannot be used.
        DatabaseUnavailable
        """
        async with contextlib.AsyncExitStack() as opened:
            make_data_folder(self.data)
            self.database = Database(self.settings.gateway.expand(self.settings.gateway.database))
            opened.callback(self.database.close)
            await asyncio.to_thread(self.database.migrate)
            self.targets = build_targets(self.settings)
            for target in self.targets.values():
                opened.push_async_callback(target.close)
            self.stores = build_stores(self.settings, self.targets)
            for store in self.stores.values():
                opened.push_async_callback(store.close)
            self.jobs = JobService(self.database, self.settings, self.targets, self.stores, self.bell)
            self.outputs = OutputService(self.database, self.stores)
            self.logs = LogService(self.database, self.targets, self.stores)
            self.feed = EventFeed(self.database)
            await self.feed.start()
            opened.push_async_callback(self.feed.stop)
            if self.drive:
                await self._begin_to_drive()
                opened.push_async_callback(self._stop_driving)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything; jobs go on without the gateway."""
        await self._opened.aclose()

    async def _begin_to_drive(self) -> None:
        if self.lock.take():
            await self._start_engine()
            return
        log.warning("another gateway drives %s; this one serves, and takes over when that one ends", self.data)
        self._take_over = asyncio.create_task(self._wait_for_lock(), name="take over")

    async def _wait_for_lock(self) -> None:
        while not self.lock.take():  # noqa: ASYNC110  (another process has no event to wait for)
            await asyncio.sleep(TAKE_OVER_INTERVAL)
        log.warning("this gateway drives %s now", self.data)
        await self._start_engine()

    async def _start_engine(self) -> None:
        from gateway.engine.engine import Engine

        engine = Engine(
            database=self.database,
            settings=self.settings,
            targets=self.targets,
            stores=self.stores,
            bell=self.bell,
            board=self.board,
            data=self.data,
        )
        await engine.start()
        self._engine = engine

    async def _stop_driving(self) -> None:
        if self._take_over is not None:
            self._take_over.cancel()
            await asyncio.gather(self._take_over, return_exceptions=True)
        if self._engine is not None:
            await self._engine.stop()
            self._engine = None
        self.lock.release()


def make_data_folder(data: Path) -> None:
    """Make the data folder, for this account alone.

    Raises
    ------
    ConfigurationError
        It cannot be made or written.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"gateway.data: {data} cannot be made: {error.strerror}") from None
    if not os.access(data, os.W_OK | os.X_OK):
        raise ConfigurationError(f"gateway.data: {data} cannot be written by this account")


def build_targets(settings: Settings) -> dict[str, Target]:
    """Return the configured targets by name; raises `ConfigurationError`."""
    return {name: build_target(name, section, settings.gateway) for name, section in settings.targets.items()}


def build_stores(settings: Settings, targets: Mapping[str, Target]) -> dict[str, Store]:
    """Return the configured stores by name; raises `ConfigurationError`."""
    transports = {name: target.transport for name, target in targets.items()}
    return {name: build_store(name, raw, settings.gateway, transports) for name, raw in settings.stores.items()}


def parse_listen(listen: str) -> tuple[str, int]:
    """Return address and port of ``gateway.listen``.

    Raises
    ------
    ConfigurationError
        It is not ``host:port``.
    """
    match = _LISTEN.match(listen)
    if match is None or int(match[3]) > 65535:
        detail = f"{listen!r} is not host:port, such as 127.0.0.1:8480"
        raise ConfigurationError(f"gateway.listen: {detail}", [FieldError("gateway.listen", detail)])
    return match[1] or match[2] or "", int(match[3])


def check_configuration(settings: Settings) -> list[FieldError]:
    """Return every mistake of a configuration that was read: plugins' sections, names, secrets, folders.

    Nothing is connected to and nothing is made.
    """
    mistakes: list[FieldError] = []
    with _noting(mistakes, "gateway.listen"):
        parse_listen(settings.gateway.listen)
    with _noting(mistakes, "gateway.allow_urls"):
        read_allowed(settings.gateway.allow_urls)
    with _noting(mistakes, "gateway.database"):
        check_url(settings.gateway.expand(settings.gateway.database))
    mistakes += [
        FieldError(f"gateway.cases.{number}", f"{folder} is not a folder")
        for number, folder in enumerate(settings.gateway.cases)
        if not folder.expanduser().is_dir()
    ]
    transports: dict[str, Transport] = {}
    for name, section in settings.targets.items():
        with _noting(mistakes, f"targets.{name}"):
            target = build_target(name, section, settings.gateway)
            transports[name] = target.transport
            for key in ("workdir", "image_cache"):
                with _noting(mistakes, f"targets.{name}.{key}"):
                    absolute(getattr(target, key), "/home", f"targets.{name}.{key}")
    for name, raw in settings.stores.items():
        place = f"stores.{name}"
        with _noting(mistakes, place):
            _, typed = plugins.read_settings("stores", raw, place)
            mistakes += _secret_mistakes(typed, place)
            named = getattr(typed, "target", None)
            if named is not None and named not in settings.targets:
                mistakes.append(FieldError(f"{place}.target", f"there is no target named {named!r}"))
    return mistakes


@contextlib.contextmanager
def _noting(mistakes: list[FieldError], place: str) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        mistakes += error.errors or [FieldError(place, error.message)]


def _secret_mistakes(value: object, place: str) -> list[FieldError]:
    """Look for every secret in a section and whether it is there; never returns one."""
    if isinstance(value, Secret):
        found: list[FieldError] = []
        with _noting(found, place):
            value.reveal()
        return found
    items: list[tuple[object, object]] = []
    if isinstance(value, BaseModel):
        items = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, Mapping):
        items = list(value.items())
    return [mistake for key, inner in items for mistake in _secret_mistakes(inner, f"{place}.{key}")]
