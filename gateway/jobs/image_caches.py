"""Images on targets: brought there before they are needed, and removed where room is needed."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select

from gateway.compute.image_cache import make_room
from gateway.compute.target import Target
from gateway.db import images as table
from gateway.db.database import Database
from gateway.db.tables import jobs
from gateway.errors import FieldError, InvalidRequest
from gateway.jobs.service import JobService
from gateway.model.image import CachedImage, CacheReport
from gateway.model.job import Job
from gateway.model.states import ENDED
from gateway.settings import Settings

TAG = "prefetch"
WALLTIME = 4 * 3600
"""Seconds that a prefetch may take; most of it is waiting for bytes."""


class ImageCaches:
    """The image caches of targets."""

    def __init__(self, database: Database, settings: Settings, targets: Mapping[str, Target], jobs: JobService) -> None:
        self.database = database
        self.settings = settings
        self.targets = targets
        self.jobs = jobs

    async def prefetch(self, image: str, target: str | None, owner: str, key: str | None = None) -> Job:
        """Submit a small job that pulls an image into a target's cache, and does nothing else.

        Parameters
        ----------
        image
            A name or digest of the catalogue.

        Raises
        ------
        InvalidRequest
            There is no such image, or no such target.
        """
        body = {
            "name": f"prefetch {image}"[:200],
            "image": image,
            "command": ["sh", "-c", ":"],
            "outputs": [],
            "resources": {"walltime": WALLTIME},
            "sync": {"interval": None},
            "tags": {TAG: image[:256]},
        }
        return await self.jobs.submit(body if target is None else {**body, "target": target}, owner, key)

    async def make_room(self, target: Target, limit: int | None) -> CacheReport:
        """Remove images from a target's cache until it takes at most `limit` bytes.

        Those that are pinned, and those that live jobs name, stay, and so does what is in use there.

        Raises
        ------
        InvalidRequest
            No limit is given, and none is configured.
        TargetError
        """
        limit = self.settings.targets[target.public_name].pull.cache_limit if limit is None else limit
        if limit is None:
            detail = f"must say how many bytes may stay: targets.{target.public_name}.pull.cache_limit is not set"
            raise InvalidRequest([FieldError("#/limit", detail)])
        keep = await self.database.read(lambda c: _needed(c, target.public_name))
        paths = await target.paths()
        found, left = await make_room(target.transport, paths.image_cache, limit, keep)
        names = await self.database.read(lambda c: _names(c, [f"sha256:{item.key}" for item in found]))
        items = [
            CachedImage(key=item.key, name=names.get(f"sha256:{item.key}"), bytes=item.bytes, kept=item.kept)
            for item in found
        ]
        return CacheReport(target=target.public_name, limit=limit, left=left, items=items)


def _needed(connection: Connection, target: str) -> set[str]:
    """Return the digests of images that must stay on a target."""
    pinned = table.page(connection, table.ImageFilter(pinned=True), None, 100_000)
    found = {row["digest"] for row in pinned}
    live = select(jobs.c.spec["image"], jobs.c.spec["tools"])
    live = live.where(jobs.c.target == target, jobs.c.state.not_in([str(state) for state in ENDED]))
    for image, tools in connection.execute(live):
        found |= {item.get("digest") for item in (image, *(tools or ())) if isinstance(item, dict)}
    return {digest for digest in found if digest is not None}


def _names(connection: Connection, digests: list[str]) -> dict[str, str]:
    rows = {digest: row for digest in digests if (row := table.find(connection, digest)) is not None}
    names = table.names_of(connection, [row["id"] for row in rows.values()])
    return {digest: names[row["id"]][0] for digest, row in rows.items() if row["id"] in names}
