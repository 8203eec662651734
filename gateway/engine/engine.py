"""The engine: one driver a target, started and stopped together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection

from gateway.compute.target import Target
from gateway.db import behind, jobs
from gateway.db.database import Database
from gateway.db.tenure import FencedDatabase, Tenure
from gateway.engine.driver import Surroundings, TargetDriver
from gateway.engine.finalise import Finaliser
from gateway.engine.guarded_store import GuardedStore
from gateway.engine.images import ImageDelivery
from gateway.engine.inputs import InputFiles
from gateway.engine.kept_inputs import KeptInputs
from gateway.engine.lanes import Lanes
from gateway.engine.publishing import PublishingLoop
from gateway.engine.retention import RetentionLoop
from gateway.engine.stored_inputs import StoredInputs
from gateway.engine.timing import Timing
from gateway.images.published import PublishedImages
from gateway.images.publishing import ImagePublishing
from gateway.images.registry_images import RegistryImages
from gateway.jobs.bell import Bell
from gateway.jobs.board import Board
from gateway.metrics import Metrics
from gateway.model.states import ENDED, State
from gateway.settings import Settings
from gateway.storage.stores.base import Store
from gateway.urls import UrlOpener

log = logging.getLogger(__name__)


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
        metrics: Metrics | None = None,
        images: PublishedImages | None = None,
        publishing: ImagePublishing | None = None,
        registries: RegistryImages | None = None,
    ) -> None:
        self.settings = settings
        self.database = database
        timing = timing or Timing()
        stored = StoredInputs(database, stores, data / "uploads")
        self.inputs = InputFiles(UrlOpener(settings.gateway.allow_urls), data / "inputs", bell, stored)
        images = images or PublishedImages(data / "built-images")
        metrics = metrics or Metrics()
        self.targets = targets

        def around(base: Database, places: Mapping[str, Store]) -> Surroundings:
            finaliser = Finaliser(base, places, data, timing)
            delivery = ImageDelivery(images, base, bell, timing, data, registries)
            return Surroundings(base, places, bell, board, finaliser, self.inputs, delivery, timing, metrics, settings)

        def held(target: Target, tenure: Tenure) -> TargetDriver:
            guarded = {name: GuardedStore(store, tenure) for name, store in stores.items()}
            return TargetDriver(target, around(FencedDatabase(database, tenure), guarded))

        self.drivers: list[TargetDriver] = []
        self.lanes: Lanes | None = None
        """Where several processes may share the database."""
        if database.is_sqlite:
            shared = around(database, stores)
            self.images = shared.images
            self.drivers = [TargetDriver(target, shared) for target in targets.values()]
        else:
            self.lanes = Lanes(database, targets, board, held, lambda lane: self.inputs.keep(lane, ()))
        self.retention = RetentionLoop(database, settings, stores, bell)
        self.publishing = PublishingLoop(publishing, bell) if publishing is not None else None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def driven(self) -> frozenset[str]:
        """The lanes that this process drives now."""
        return frozenset(self.targets) if self.lanes is None else self.lanes.held

    async def start(self) -> None:
        """Start the loops."""
        await self._show_orphans()
        await asyncio.to_thread(self.inputs.clear)
        await asyncio.to_thread(KeptInputs(self.settings.gateway.data_folder).clear, self._has_not_ended)
        self._tasks = [asyncio.create_task(driver.run(), name=f"drive {driver.target.name}") for driver in self.drivers]
        self._tasks.append(asyncio.create_task(self.retention.run(), name="retention"))
        if self.publishing is not None:
            self._tasks.append(asyncio.create_task(self.publishing.run(), name="image publishing"))
        if self.lanes is not None:
            await self.lanes.start()

    def _has_not_ended(self, job_id: str) -> bool:
        def ask(connection: Connection) -> bool:
            row = jobs.get(connection, job_id)
            return row is not None and (State(row["state"]) not in ENDED or behind.waits(connection, job_id))

        return self.database.read_here(ask)

    async def _show_orphans(self) -> None:
        """Show jobs as unknown whose target is not configured any more: nobody sees them, and people can abandon them.

        Accepted ones are left: nothing of them is anywhere, so they can be cancelled.
        """
        targets = list(self.targets)

        def mark(connection: Connection) -> None:
            for row in jobs.live_elsewhere(connection, targets):
                if State(row["state"]) in {State.ACCEPTED, State.UNKNOWN}:
                    continue
                message = f"target {row['target']} is not configured any more"
                log.warning("job %s: %s", row["id"], message)
                jobs.change_state(connection, row["id"], State.UNKNOWN, evidence={"unreachable": message})

        await self.database.write(mark)

    async def stop(self) -> None:
        """Stop the loops and what they started here."""
        if self.lanes is not None:
            await self.lanes.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(driver.stop() for driver in self.drivers))
        await self.inputs.close()
        if self.drivers:
            await self.drivers[0].around.images.close()
