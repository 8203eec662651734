"""What people can ask of publishing: begin it, see how far it is, see what it would do. The engine carries it out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, RowMapping

from gateway.db import image_publications as table
from gateway.db import images as catalogue
from gateway.db.database import Database
from gateway.db.jobs import now
from gateway.errors import FieldError, ImageError, InvalidRequest, NotFound
from gateway.images import rows
from gateway.images.entry import ImageEntry
from gateway.images.measure import measure_file
from gateway.images.mirror import build_mirrors
from gateway.images.obtaining import FOLDER, Converter, LocalCopies, addresses
from gateway.images.publish import Known, Publisher
from gateway.images.published import PublishedImages
from gateway.images.reading import ImageReader, learn
from gateway.images.signatures import image_key, trusted_by
from gateway.model.image_mirrors import (
    ImageMirrorInfo,
    PlannedPublication,
    Publication,
    PublicationPage,
    PublicationState,
    PublishBegun,
    PublishRequest,
)
from gateway.settings import Settings
from gateway.storage.stores.base import Store
from gateway.urls import UrlOpener

BELL = "image publishing"
SHOWN = 1000
"""Names of images that an answer holds at most."""

LOOKED_AFTER = 0.5
"""Seconds between two looks at an image that is being read."""


class ImagePublishing:
    """Begins and shows publications.

    Attributes
    ----------
    convert
        Makes an image from its source; set by the composition root.

    Raises
    ------
    ConfigurationError
        The signing key cannot be used.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        stores: Mapping[str, Store],
        built: PublishedImages,
        reader: ImageReader,
    ) -> None:
        self.database = database
        self.settings = settings.image_publishing
        self.mirrors = build_mirrors(settings, stores)
        self.convert: Converter | None = None
        self._reader = reader
        self._opener = UrlOpener(settings.gateway.allow_urls)
        key = image_key(settings)
        reader.trusted = trusted_by(settings, key)
        self.copies = LocalCopies(settings.gateway.data_folder / FOLDER, self._opener, built, self._convert)
        self.publisher = Publisher(
            self.mirrors,
            self.copies,
            self._opener,
            key=key,
            trusted=reader.trusted,
            bandwidth=settings.image_publishing.bandwidth,
        )

    def close(self) -> None:
        """Let go of the threads."""
        self._opener.close()

    async def _convert(self, entry: ImageEntry) -> Path | None:
        return await self.convert(entry) if self.convert is not None else None

    async def measured(self, entry: ImageEntry) -> ImageEntry:
        """Return an image with its digest. Where nobody read it yet it is read, or made from its source.

        What turns out to be another image's file becomes that image, which takes over what was asked for.

        Raises
        ------
        ImageError
        """
        if entry.digest is not None and entry.size is not None:
            return entry
        if addresses(entry):
            digest = await self._read(entry)
        else:
            file = await self._convert(entry)
            if file is None:
                raise ImageError(f"the image {entry.name} has no address, and cannot be made from its sources here")
            found = await asyncio.to_thread(measure_file, file)
            await self.database.write(lambda c: learn(c, entry.id, found))
            digest = found.digest
        now_known = await self.database.read(lambda c: rows.load(c, digest))
        if now_known is None:
            raise ImageError(f"the image {entry.name} has gone from the catalogue")
        return now_known

    async def _read(self, entry: ImageEntry) -> str:
        """Have an image read, and wait for its digest."""
        await self._reader.begin(entry.id, "read")
        names = entry.names
        while True:
            row = await self.database.read(lambda c: _row(c, [entry.id, *names]))
            if row is None:
                raise ImageError(f"the image {entry.name} has gone from the catalogue")
            if row["digest"] is not None and row["size"] is not None:
                return str(row["digest"])
            if (row["work"] or {}).get("state") != "running":
                problem = (row["work"] or {}).get("problem") or "reading it was interrupted"
                raise ImageError(f"the image {entry.name} cannot be read: {problem}")
            await asyncio.sleep(LOOKED_AFTER)

    # --- what is asked for

    async def begin(self, request: PublishRequest, by: str) -> PublishBegun:
        """Have images looked at in mirrors, and brought where they are not.

        Raises
        ------
        InvalidRequest
            A mirror is not configured, or none is.
        NotFound
            There is no such image.
        """
        mirrors = self.named_mirrors(request.mirrors)

        def write(connection: Connection) -> PublishBegun:
            ids, names = _ids(connection, request.images)
            count = table.want(connection, ids, mirrors, by, now())
            return PublishBegun(images=names[:SHOWN], publications=count)

        return await self.database.write(write)

    async def begin_scheduled(self) -> PublishBegun | None:
        """Have all live images looked at where it is time for that."""
        if not self.settings.automatic or not self.mirrors:
            return None
        seconds = self.settings.every_hours * 3600
        if not await self.database.write(lambda c: table.scheduled(c, now(), seconds)):
            return None
        return await self.begin(PublishRequest(), "automatic")

    async def plan(self, request: PublishRequest) -> AsyncGenerator[PlannedPublication, None]:
        """Yield what `begin` would have done, image by image. Nothing is changed."""
        mirrors = self.named_mirrors(request.mirrors)
        ids, _ = await self.database.read(lambda c: _ids(c, request.images))
        for image_id in ids:
            entry, known = await self.database.read(lambda c, image_id=image_id: load(c, image_id))  # type: ignore[misc]
            if entry is not None:
                for line in await self.publisher.plan(entry, mirrors, known):
                    yield line

    # --- what is seen

    def named_mirrors(self, names: Sequence[str]) -> list[str]:
        """Return those mirrors, all where none is named; raises `InvalidRequest`."""
        if not self.mirrors:
            why = "no mirror is configured that images could be published to: see [[image_mirrors]]"
            raise InvalidRequest([FieldError("#/mirrors", why)])
        for number, name in enumerate(names):
            if name not in self.mirrors:
                known = ", ".join(self.mirrors)
                raise InvalidRequest([FieldError(f"#/mirrors/{number}", f"there is no mirror {name!r}, only {known}")])
        return list(dict.fromkeys(names)) or list(self.mirrors)

    async def list_mirrors(self) -> list[ImageMirrorInfo]:
        """Return the configured mirrors, and how many images are in which state there."""
        counts = await self.database.read(table.counts)
        return [
            ImageMirrorInfo(name=name, url=mirror.settings.url, region=mirror.settings.region, **counts.get(name, {}))
            for name, mirror in self.mirrors.items()
        ]

    async def page(
        self,
        images: Sequence[str] = (),
        mirror: str | None = None,
        states: Sequence[PublicationState] = (),
        after: tuple[str, str] | None = None,
        limit: int = 100,
    ) -> tuple[PublicationPage, tuple[str, str] | None]:
        """Return a page of publications, and where the next one begins."""

        def read(connection: Connection) -> list[RowMapping]:
            ids = _ids(connection, images)[0] if images else None
            return table.page(connection, image_ids=ids, mirror=mirror, states=states, after=after, limit=limit)

        found = await self.database.read(read)
        following = (found[-1]["image_id"], found[-1]["mirror"]) if len(found) == limit else None
        return PublicationPage(items=[_publication(row) for row in found]), following


def _row(connection: Connection, keys: Sequence[str]) -> RowMapping | None:
    """Return the first of these images that is there."""
    return next((row for key in keys if (row := catalogue.find(connection, key)) is not None), None)


def load(connection: Connection, image_id: str) -> tuple[ImageEntry | None, dict[str, Known]]:
    """Return an image, and what is known of it in mirrors."""
    known = {name: Known(row["path"], row["proof"]) for name, row in table.of_image(connection, image_id).items()}
    return rows.load(connection, image_id), known


def _ids(connection: Connection, keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return ids and names of images; of all live ones where none is named. Raises `NotFound`."""
    if not keys:
        entries = rows.live(connection)
    else:
        entries = []
        for key in keys:
            entry = rows.load(connection, key)
            if entry is None:
                raise NotFound(f"there is no image {key!a}", hint="see: gateway images list")
            entries.append(entry)
    found = {entry.id: entry.name for entry in entries}
    return list(found), list(found.values())


def _publication(row: RowMapping) -> Publication:
    digest = row["digest"]
    plain = {name: row[name] for name in _SAME}
    next_at = row["held_until"] if row["state"] == "failed" else None
    name = row["name"] or (digest or row["image_id"])[:19]
    return Publication(image=name, size=row["size"], next_at=next_at, **plain)


_SAME = (
    "image_id",
    "digest",
    "mirror",
    "state",
    "url",
    "problem",
    "tries",
    "bytes",
    "by",
    "updated_at",
    "published_at",
    "checked_at",
)
