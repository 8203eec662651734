"""Brings images that the gateway built to the targets of the jobs that need them, beside the targets' ticks."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, RowMapping

from gateway.compute.image_delivery import ImageFile, deliver
from gateway.compute.target import Target
from gateway.db import events, jobs
from gateway.db.database import Database
from gateway.engine.image_sources import ImageSources
from gateway.engine.timing import Timing
from gateway.errors import GatewayError, StagingFailed, TargetUnreachable
from gateway.images.published import PublishedImages
from gateway.images.registry_images import RegistryImages
from gateway.jobs.bell import Bell
from gateway.model.specification import Image
from gateway.model.states import State

log = logging.getLogger(__name__)

FRESH = 300.0
"""Seconds for which a look into a target's cache holds."""
TOLD_EVERY = 2.0
"""Seconds between two words about progress."""
TOLD_JOBS = 100
"""Of the jobs that wait for one image, so many are told how far it is."""
LINK_DELAYS = (1.0, 5.0, 15.0, 30.0, 60.0)
"""Waits after a broken link; the last one again and again, for as long as a job waits."""

_Key = tuple[str, str]


@dataclass(eq=False)
class _Delivery:
    """One image on its way to one target; and the jobs that wait for it, with their owners."""

    target: Target
    image: ImageFile
    task: asyncio.Task[None] | None = None
    jobs: dict[str, str | None] = field(default_factory=dict)
    told_at: float = 0.0


class ImageDelivery:
    """Images built here, on their way to targets: one at a time to each, each once.

    Nothing of it outlives the process but the parts that have arrived: after a restart they are gone on with.

    Parameters
    ----------
    data
        The gateway's data folder: names this gateway among those that share a cache.
    bell
        Rung for a target when a delivery to it has ended.
    registries
        Resolves references of registries, and makes image files of what is there.
    """

    def __init__(
        self,
        images: PublishedImages,
        database: Database,
        bell: Bell,
        timing: Timing,
        data: Path,
        registries: RegistryImages | None = None,
    ) -> None:
        self._images = images
        self.sources = ImageSources(registries, database, bell)
        self._database = database
        self._bell = bell
        self._timing = timing
        self._sender = hashlib.sha256(f"{socket.gethostname()}:{data}".encode()).hexdigest()[:12]
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._under_way: dict[_Key, _Delivery] = {}
        self._seen: dict[_Key, float] = {}
        self._looked_again: set[tuple[str, int]] = set()
        self._ending: set[asyncio.Task[None]] = set()

    def place(self, row: RowMapping, target: Target, image: Image) -> Image | None:
        """Return the job's image as its node will find it; None while it is on its way.

        A first attempt relies on a look of the last minutes; a later one, whose predecessor may not have found the
        image, has the target looked at again.

        Raises
        ------
        StagingFailed
            The image cannot be had, or not be delivered.
        UrlUnreachable
            It cannot be had now.
        """
        found = self.sources.on_node(row, target, image)
        if found is None or not found.is_built or found.digest is None:
            return found
        return found if self._there(row, target, found, found.digest) else None

    def _there(self, row: RowMapping, target: Target, image: Image, digest: str) -> bool:
        """Say whether an image of this gateway is in the target's cache; begin to deliver it where it is not."""
        key = (target.name, digest)
        delivery = self._under_way.get(key)
        if delivery is None:
            again = (row["id"], row["attempt"])
            if row["attempt"] > 1 and again not in self._looked_again:
                self._looked_again.add(again)
                self._seen.pop(key, None)
            if time.monotonic() - self._seen.get(key, float("-inf")) < FRESH:
                return True
            delivery = self._start(key, target, image)
        delivery.jobs[row["id"]] = row["owner"]
        task = delivery.task
        if task is None or not task.done():
            return False
        self._release(key, row["id"])
        if task.cancelled():
            return False
        if (error := task.exception()) is None:
            return True
        if isinstance(error, GatewayError):
            raise StagingFailed(error.message, hint=error.hint)
        log.error("image %s: the delivery failed", image.ref, exc_info=error)
        raise StagingFailed(f"the image could not be delivered ({type(error).__name__})")

    def keep(self, target: str, job_ids: Collection[str]) -> None:
        """Let go of every job that waits at `target` but these: cancelled ones end here."""
        self.sources.keep(target, job_ids)
        for (name, _), delivery in list(self._under_way.items()):
            if name == target:
                for job_id in [waiting for waiting in delivery.jobs if waiting not in job_ids]:
                    self.release(job_id)

    def release(self, job_id: str) -> None:
        """Let go of a job; a delivery that no other one waits for is stopped."""
        self.sources.release(job_id)
        for key in list(self._under_way):
            self._release(key, job_id)

    def _release(self, key: _Key, job_id: str) -> None:
        delivery = self._under_way.get(key)
        if delivery is not None and delivery.jobs.pop(job_id, "") != "" and not delivery.jobs:
            del self._under_way[key]
            if delivery.task is not None:
                delivery.task.cancel()

    async def close(self) -> None:
        """Stop all deliveries. What has arrived is gone on with the next time."""
        await self.sources.close()
        for delivery in list(self._under_way.values()):
            if delivery.task is not None:
                delivery.task.cancel()
        self._under_way.clear()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _start(self, key: _Key, target: Target, image: Image) -> _Delivery:
        assert image.digest is not None
        name = image.ref.removeprefix("built:")
        found = self._images.by_digest(image.digest)
        if found is None:
            raise StagingFailed(
                f"the image {name} ({image.digest[:19]}…) is not kept by this gateway any more",
                hint=f"build it: gateway cases build {name}, and submit the job anew",
            )
        file = ImageFile(name, image.digest.removeprefix("sha256:"), found.size, found.file)
        delivery = self._under_way[key] = _Delivery(target, file)
        task = asyncio.create_task(self._deliver(key, delivery), name=f"image {name} to {target.name}")
        delivery.task = task
        self._ending.add(task)
        task.add_done_callback(self._ended(target.name))
        return delivery

    def _ended(self, target: str) -> Callable[[asyncio.Task[None]], None]:
        def ended(task: asyncio.Task[None]) -> None:
            self._ending.discard(task)
            if not task.cancelled():
                task.exception()  # the jobs that wait are told of it
                self._bell.ring(target)

        return ended

    async def _deliver(self, key: _Key, delivery: _Delivery) -> None:
        """Try until it is there: a broken link as long as it takes, what the target refuses some times."""
        links, refusals = 0, 0
        while True:
            try:
                async with self._turns[delivery.target.name]:
                    paths = await delivery.target.paths()
                    await deliver(
                        delivery.target.transport,
                        paths.image_cache,
                        delivery.image,
                        self._sender,
                        partial(self._progress, delivery),
                    )
            except TargetUnreachable as error:
                delay = LINK_DELAYS[min(links, len(LINK_DELAYS) - 1)]
                links += 1
                await self._tell(delivery, f"the image waits for the target: {error.message}")
            except GatewayError as error:
                if refusals >= len(self._timing.staging_delays):
                    raise
                delay = self._timing.staging_delays[refusals]
                refusals += 1
                await self._tell(delivery, error.message)
            else:
                self._seen[key] = time.monotonic()
                return
            await asyncio.sleep(delay)

    async def _progress(self, delivery: _Delivery, arrived: int, total: int) -> None:
        now = time.monotonic()
        if arrived < total and now - delivery.told_at < TOLD_EVERY:
            return
        delivery.told_at = now
        words = f"the image {delivery.image.name} is on its way to the target: {_megabytes(arrived, total)}"
        await self._tell(delivery, words, {"bytes": arrived, "total": total, "source": "the gateway"})

    async def _tell(self, delivery: _Delivery, message: str, pull: dict[str, object] | None = None) -> None:
        waiting = list(delivery.jobs.items())[:TOLD_JOBS]

        def write(connection: Connection) -> None:
            at = jobs.now()
            for job_id, owner in waiting:
                if jobs.state_of(connection, job_id) is not State.STAGING:
                    continue
                jobs.explain(connection, job_id, State.STAGING, message)
                if pull is not None:
                    events.append(connection, job_id, owner, "pull", pull, at=at)

        if waiting:
            await self._database.write(write)


def _megabytes(arrived: int, total: int) -> str:
    return f"{arrived / 1e6:.0f} of {total / 1e6:.0f} MB"
