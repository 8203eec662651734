"""The composition root: everything one gateway process needs, put together and taken apart again."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gateway.cases.catalogue import Catalogue
from gateway.cases.requests import CaseRequests
from gateway.cases.service import CaseService
from gateway.compute.target import Target
from gateway.db import events
from gateway.db.changes import Changes
from gateway.db.database import Database
from gateway.images.catalogue import ImageCatalogue
from gateway.images.from_sources import FromSources
from gateway.images.published import PublishedImages
from gateway.images.publishing import ImagePublishing
from gateway.images.registry import RegistryClient
from gateway.images.registry_images import FOLDER as REGISTRY_FOLDER
from gateway.images.registry_images import RegistryImages
from gateway.jobs.archives import ArchiveService
from gateway.jobs.bell import Bell
from gateway.jobs.board import Board
from gateway.jobs.configured import build_accounts, build_stores, build_targets, make_data_folder
from gateway.jobs.crate_runs import CrateRuns
from gateway.jobs.crates import CrateService
from gateway.jobs.driving_lock import DrivingLock
from gateway.jobs.feed import EventFeed
from gateway.jobs.image_caches import ImageCaches
from gateway.jobs.logs import LogService
from gateway.jobs.neighbours import Neighbours
from gateway.jobs.output_search import OutputSearch
from gateway.jobs.outputs import OutputService
from gateway.jobs.pages import Pages
from gateway.jobs.reconciling import Reconciler
from gateway.jobs.restoring import RestoreService
from gateway.jobs.retention import Retention
from gateway.jobs.series import SeriesService
from gateway.jobs.service import JobService
from gateway.jobs.signing_keys import SigningKeyRing
from gateway.jobs.sweep_table import SweepTables
from gateway.jobs.sweeps import SweepService
from gateway.jobs.uploads import UploadService
from gateway.jobs.verbs import Verbs
from gateway.jobs.verification import Verifier
from gateway.metrics import Metrics
from gateway.model.states import ENDED
from gateway.people.audit import AuditWriter
from gateway.people.service import People
from gateway.settings import Settings
from gateway.storage.signing import load_or_create_key, public_key_text
from gateway.storage.stores.base import Store
from gateway.urls import UrlOpener

if TYPE_CHECKING:
    from gateway.engine.engine import Engine

log = logging.getLogger(__name__)

MOST_COUNTED = 200_000
"""Events that are read at once for the metrics; older ones of a longer pause are not counted."""
TAKE_OVER_INTERVAL = 5.0
"""Seconds between tries to drive a data folder that another process drives."""


def person() -> str:
    """Return who runs this gateway: the owner of every job."""
    return getpass.getuser()


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
    targets
        As configured, by name.
    lanes
        All that loops of the engine drive: the targets, and ``target@person`` for people's own accounts there.
    on_take_over
        Called when this process drives after it has waited for another one.
    """

    def __init__(self, settings: Settings, *, drive: bool = True) -> None:
        self.settings = settings
        self.drive = drive
        self.owner = person()
        self.data = settings.gateway.data_folder
        self.targets: dict[str, Target] = {}
        self.lanes: dict[str, Target] = {}
        self.stores: dict[str, Store] = {}
        self.metrics = Metrics()
        self.board = Board()
        self.bell = Bell()
        self.lock = DrivingLock(self.data)
        self.on_take_over: list[Callable[[], object]] = []
        self.database: Database
        self.images: PublishedImages
        self.image_catalogue: ImageCatalogue
        self.image_publishing: ImagePublishing
        self.registry_images: RegistryImages
        self.cases: CaseService
        self.jobs: JobService
        self.outputs: OutputService
        self.crates: CrateService
        self.crate_runs: CrateRuns
        self.output_search: OutputSearch
        self.signing_keys: SigningKeyRing
        self.verifier: Verifier
        self.reconciler: Reconciler
        self.retention: Retention
        self.logs: LogService
        self.series: SeriesService
        self.verbs: Verbs
        self.sweeps: SweepService
        self.sweep_tables: SweepTables
        self.uploads: UploadService
        self.archives: ArchiveService
        self.feed: EventFeed
        self.neighbours: Neighbours
        self.pages: Pages
        self.people: People
        self.audit: AuditWriter
        self._engine: Engine | None = None
        self._counting = asyncio.Lock()
        self._counted = 0
        self._take_over: asyncio.Task[None] | None = None
        self._opened = contextlib.AsyncExitStack()

    @property
    def driving(self) -> bool:
        """Whether this process acts on jobs now: on SQLite on all of them, else on those of the lanes it holds."""
        return self._engine is not None and (self.database.is_sqlite or bool(self.driven))

    @property
    def driven(self) -> frozenset[str]:
        """The lanes whose jobs this process acts on now."""
        return self._engine.driven if self._engine is not None else frozenset()

    @property
    def lease(self) -> str:
        """``held``, ``elsewhere`` (another process acts on jobs; this one takes over) or ``none``."""
        return "held" if self.driving else "elsewhere" if self.drive else "none"

    async def count_new_events(self) -> int:
        """Count for the metrics what happened since they were last asked for; return the newest event's sequence."""
        async with self._counting:
            last = await self.database.read(events.last_sequence)
            while self._counted < last:
                after = max(self._counted, last - MOST_COUNTED)
                page = await self.database.read(lambda c, after=after: events.after(c, after, limit=5000))  # type: ignore[misc]
                self.metrics.count_events((dict(row) for row in page), frozenset(ENDED))
                self._counted = page[-1]["sequence"] if len(page) == 5000 else last
        return last

    @property
    def image_caches(self) -> ImageCaches:
        """Brings images to targets, and makes room there."""
        return ImageCaches(self.database, self.settings, self.lanes, self.jobs)

    @property
    def restores(self) -> RestoreService:
        """Brings archived outputs back."""
        return RestoreService(self.database, self.stores)

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
            self.people = People(self.database, self.owner)
            opened.push_async_callback(self.people.close)
            self.audit = AuditWriter(self.database, self.settings.gateway.audit_days)
            self.audit.start()
            opened.push_async_callback(self.audit.close)
            self.targets = build_targets(self.settings)
            self.lanes = {**self.targets, **build_accounts(self.settings)}
            for target in self.lanes.values():
                target.transport.observer = self.metrics.watch_commands(target.public_name)
                opened.push_async_callback(target.close)
            self.stores = build_stores(self.settings, self.targets)
            for store in self.stores.values():
                opened.push_async_callback(store.close)
            self._open_images(opened)
            self.jobs = JobService(self.database, self.settings, self.targets, self.stores, self.bell, self.lanes)
            catalogue = Catalogue(self.settings.gateway.cases, self.database, self.data / "cases")
            self.cases = CaseService(self.database, catalogue, self.images)
            self.jobs.acceptance.cases = CaseRequests(catalogue, self.cases.images)
            self.outputs = OutputService(self.database, self.stores)
            self.retention = Retention(self.database, self.settings, self.stores)
            await self._open_catalogue(opened)
            self.sweeps = SweepService(self.database, self.jobs.acceptance, self.bell)
            self.sweep_tables = SweepTables(self.database)
            self.archives = ArchiveService(self.database, self.stores)
            self.crates = CrateService(self.database, self.stores, self.lanes)
            self.uploads = UploadService(self.database, self.settings)
            await self.uploads.start()
            opened.push_async_callback(self.uploads.stop)
            self.crate_runs = CrateRuns(self.database, self.jobs.intake, self.uploads, self.data / "crates")
            self.logs = LogService(self.database, self.lanes, self.stores)
            self.series = SeriesService(self.database, self.lanes, self.stores)
            self.verbs = Verbs(self.database, self.lanes, self.bell)
            self._counted = await self.database.read(events.last_sequence)
            self.pages = Pages(Changes(self.database.engine))
            opened.push_async_callback(self.pages.close)
            self.feed = EventFeed(self.database)
            await self.feed.start()
            opened.push_async_callback(self.feed.stop)
            self.neighbours = Neighbours(self.database, self.bell, self.lanes, lambda: self.driven)
            await self.neighbours.start()
            opened.push_async_callback(self.neighbours.stop)
            if self.drive:
                await self._begin_to_drive()
                opened.push_async_callback(self._stop_driving)
            self._opened = opened.pop_all()
        return self

    def _open_images(self, opened: contextlib.AsyncExitStack) -> None:
        """Open what builds images, their catalogue, and what publishes them."""
        self.images = PublishedImages(self.data / "built-images", self.database)
        opened.push_async_callback(self.images.close)
        client = RegistryClient(self.settings.registries, self.settings.gateway.allow_urls)
        opened.callback(client.close)
        self.registry_images = RegistryImages(client, self.images, self.database, self.data / REGISTRY_FOLDER)
        urls = UrlOpener(self.settings.gateway.allow_urls)
        opened.callback(urls.close)
        self.image_catalogue = ImageCatalogue(self.database, urls)
        opened.push_async_callback(self.image_catalogue.close)
        reader = self.image_catalogue.reader
        self.image_publishing = ImagePublishing(self.database, self.settings, self.stores, self.images, reader)
        self.image_publishing.convert = FromSources(self.registry_images, self.database)
        opened.callback(self.image_publishing.close)

    async def _open_catalogue(self, opened: contextlib.AsyncExitStack) -> None:
        """Open what searches and verifies outputs."""
        self.output_search = OutputSearch(self.database)
        self.signing_keys = SigningKeyRing(self.database, self.settings.gateway.trusted_keys)
        await self.signing_keys.publish(public_key_text(load_or_create_key(self.data).public_key()))
        self.verifier = Verifier(self.database, self.stores, self.signing_keys)
        opened.push_async_callback(self.verifier.close)
        self.reconciler = Reconciler(self.database, self.stores, self.signing_keys, self.owner)

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
        for tell in self.on_take_over:
            tell()

    async def _start_engine(self) -> None:
        from gateway.engine.engine import Engine

        engine = Engine(
            database=self.database,
            settings=self.settings,
            targets=self.lanes,
            stores=self.stores,
            bell=self.bell,
            board=self.board,
            data=self.data,
            metrics=self.metrics,
            images=self.images,
            publishing=self.image_publishing,
            registries=self.registry_images,
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
