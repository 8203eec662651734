"""What people can ask about the catalogue of images, for the routes."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.db import images as table
from gateway.db.database import Database
from gateway.db.images import ImageFilter
from gateway.db.jobs import now
from gateway.errors import Conflict, FieldError, InvalidRequest, NotFound
from gateway.images.entry import PIECE
from gateway.images.health import host_of
from gateway.images.neurodesk import PUBLIC, Listed, read_apps
from gateway.images.reading import ImageReader
from gateway.images.rows import entries, load
from gateway.images.showing import info_of, summary_of
from gateway.model.image import (
    CheckOrder,
    CleanOrder,
    CleanReport,
    ImageChanges,
    ImageInfo,
    ImageSummary,
    ImportOrder,
    ImportProblem,
    ImportReport,
    MirrorPattern,
    NewImage,
    NewMirror,
)
from gateway.urls import UrlOpener

MAX_LIST = 16 * 1024 * 1024
"""Bytes of a list that is imported."""
LIST_PATIENCE = 60.0
"""Seconds that it may take to arrive."""
MAX_PROBLEMS = 1000


class ImageCatalogue:
    """The images that jobs can name, and where they are to be had."""

    def __init__(self, database: Database, urls: UrlOpener) -> None:
        self.database = database
        self.urls = urls
        self.reader = ImageReader(database, urls)

    async def close(self) -> None:
        """End what is under way."""
        await self.reader.close()

    async def page(
        self, wanted: ImageFilter, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[ImageSummary], tuple[str, str] | None]:
        """Return a page of images by name, and where the next one begins."""

        def read(connection: Connection) -> tuple[list[ImageSummary], tuple[str, str] | None]:
            rows = table.page(connection, wanted, after, limit + 1)
            last = (rows[limit - 1]["shown"], rows[limit - 1]["id"]) if len(rows) > limit else None
            return _summaries(connection, rows[:limit]), last

        return await self.database.read(read)

    async def show(self, key: str, *, pieces: bool = False) -> ImageInfo:
        """Return the image with an id, a digest or a name; raises `NotFound`."""
        return await self.database.read(lambda c: _info(c, key, pieces=pieces))

    async def add(self, order: NewImage) -> ImageInfo:
        """Take an image into the catalogue, and begin to read it where what it is was not told.

        An image that was only described so far, under one of the names, becomes this one.

        Raises
        ------
        Conflict
            A name is another image's, or the file is in the catalogue already.
        """
        self._check_addresses(order.mirrors)
        image_id = await self.database.write(lambda c: _add(c, order))
        if order.pieces is None and any(host_of(mirror.url) for mirror in order.mirrors):
            await self.reader.begin(image_id, "read")
        return await self.show(image_id)

    async def change(self, key: str, changes: ImageChanges) -> ImageInfo:
        """Change an image; raises `NotFound`, or `Conflict` where a name is another image's."""
        self._check_addresses(changes.mirrors or ())

        def write(connection: Connection) -> ImageInfo:
            image_id = str(_find(connection, key)["id"])
            if changes.names is not None:
                _refuse_taken(connection, changes.names, image_id)
                table.set_names(connection, image_id, changes.names)
            if changes.mirrors is not None:
                table.set_mirrors(connection, image_id, [(item.url, item.region) for item in changes.mirrors])
            plain = changes.model_dump(exclude_none=True, exclude={"names", "mirrors"}, mode="json")
            table.update(connection, image_id, **plain)
            return _info(connection, image_id)

        return await self.database.write(write)

    async def check(self, key: str, order: CheckOrder) -> ImageInfo:
        """Begin to check the mirrors of an image; raises `NotFound`."""
        found = await self.show(key)
        await self.reader.begin(found.id, "check", full=order.full)
        return await self.show(found.id)

    async def import_list(self, order: ImportOrder) -> ImportReport:
        """Take over what can be used of Neurodesk's list.

        Raises
        ------
        InvalidRequest
            It is no such list.
        UrlError
            It cannot be fetched.
        """
        document = order.document if order.document is not None else await self._fetch(order.url or "")
        listed, problems = await asyncio.to_thread(read_apps, document)
        if not listed and problems:
            detail = "is no list of Neurodesk's form: " + "; ".join(f"{p.entry} {p.detail}" for p in problems[:3])
            raise InvalidRequest([FieldError("#/document" if order.document is not None else "#/url", detail)])
        patterns = order.mirrors or PUBLIC
        told = [ImportProblem(entry=item.entry, detail=item.detail) for item in problems[:MAX_PROBLEMS]]

        def write(connection: Connection) -> ImportReport:
            outcome: dict[str, list[str]] = {"added": [], "changed": [], "unchanged": [], "taken": []}
            for item in listed:
                outcome[_import(connection, item, patterns, dry_run=order.dry_run)].append(item.name)
            taken = [
                ImportProblem(entry=name, detail="is the name of an image that was added here")
                for name in outcome["taken"]
            ]
            return ImportReport(
                added=outcome["added"],
                changed=outcome["changed"],
                unchanged=len(outcome["unchanged"]),
                problems=[*told, *taken],
                dry_run=order.dry_run,
            )

        return await (self.database.read if order.dry_run else self.database.write)(write)

    async def clean(self, order: CleanOrder) -> CleanReport:
        """Remove from the catalogue what is retired, not pinned and unused; or only say what that would be."""
        before = now() - timedelta(days=order.unused_days)

        def run(connection: Connection) -> CleanReport:
            rows = table.unused(connection, before)
            items = _summaries(connection, rows)
            if not order.dry_run:
                for row in rows:
                    table.remove(connection, row["id"])
            return CleanReport(items=items, dry_run=order.dry_run)

        return await (self.database.read if order.dry_run else self.database.write)(run)

    async def _fetch(self, url: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="gateway-list-") as folder:
            file = Path(folder) / "list.json"
            await self.urls.fetch(url, file, max_bytes=MAX_LIST, timeout=LIST_PATIENCE)
            content = await asyncio.to_thread(file.read_bytes)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise InvalidRequest([FieldError("#/url", "what came is no JSON object")])
        return found

    def _check_addresses(self, mirrors: Sequence[NewMirror]) -> None:
        errors = [
            FieldError(f"#/mirrors/{number}/url", problem)
            for number, mirror in enumerate(mirrors)
            if host_of(mirror.url) is not None and (problem := self.urls.problem(mirror.url))
        ]
        if errors:
            raise InvalidRequest(errors)


def _find(connection: Connection, key: str) -> RowMapping:
    row = table.find(connection, key)
    if row is None:
        raise NotFound(f"there is no image {key[:200]!a} in the catalogue")
    return row


def _info(connection: Connection, key: str, *, pieces: bool = False) -> ImageInfo:
    row = _find(connection, key)
    return info_of(entries(connection, [row])[0], row["work"], pieces=pieces)


def _summaries(connection: Connection, rows: Sequence[RowMapping]) -> list[ImageSummary]:
    found = entries(connection, rows)
    return [summary_of(entry, row["work"]) for entry, row in zip(found, rows, strict=True)]


def _refuse_taken(connection: Connection, names: Sequence[str], image_id: str | None) -> None:
    taken = table.taken_names(connection, names)
    other = sorted(name for name, owner in taken.items() if owner != image_id)
    if other:
        raise Conflict(
            f"{', '.join(other)}: the name of another image", hint="give that one other names first, or choose another"
        )


def _add(connection: Connection, order: NewImage) -> str:
    if order.digest is not None and (same := load(connection, order.digest)) is not None:
        raise Conflict(f"the file is in the catalogue already, as {same.name}", hint="change that image")
    described = _described(connection, order.names)
    _refuse_taken(connection, order.names, described)
    hashes = b"".join(bytes.fromhex(piece) for piece in order.pieces) if order.pieces is not None else None
    given = order.model_dump(exclude={"names", "mirrors", "pieces"}, mode="json")
    values: Mapping[str, Any] = {**given, "pieces": hashes, "piece_size": PIECE if hashes else None}
    if described is None:
        image_id = table.insert_image(connection, values)
    else:
        image_id = described
        table.update(connection, image_id, **values, origin="added", live=True)
    table.set_names(connection, image_id, (*order.names, *table.names_of(connection, [image_id])[image_id]))
    table.set_mirrors(connection, image_id, [(item.url, item.region) for item in order.mirrors])
    return image_id


def _described(connection: Connection, names: Sequence[str]) -> str | None:
    """Return the one image without a file that has one of these names, and is meant by all of them."""
    owners = set(table.taken_names(connection, names).values())
    if len(owners) != 1:
        return None
    entry = load(connection, owners.pop())
    return entry.id if entry is not None and entry.digest is None else None


def _import(connection: Connection, item: Listed, patterns: Sequence[MirrorPattern], *, dry_run: bool) -> str:
    """Take over one image of a list; say what that is: ``added``, ``changed``, ``unchanged`` or ``taken``."""
    mirrors, categories = item.mirrors(patterns), list(item.categories)
    known = load(connection, item.build)
    holder = load(connection, item.name)
    if holder is not None and holder.origin != "neurodesk" and (known is None or holder.id != known.id):
        return "taken"
    if known is not None and known.origin != "neurodesk":
        return "unchanged"
    if known is None:
        if not dry_run:
            values = {"categories": categories, "commands": item.commands, "origin": "neurodesk"}
            image_id = table.insert_image(connection, values)
            table.set_names(connection, image_id, (item.build, item.name))  # an older build keeps its own name
            table.set_mirrors(connection, image_id, mirrors)
            if holder is not None and not holder.pinned:
                table.update(connection, holder.id, live=False)
        return "added" if holder is None else "changed"
    urls = {mirror.url for mirror in known.mirrors}
    more = [(url, region) for url, region in mirrors if url not in urls]
    if not more and list(known.categories) == categories:
        return "unchanged"
    if not dry_run:
        table.set_mirrors(connection, known.id, [*((m.url, m.region) for m in known.mirrors), *more])
        table.update(connection, known.id, categories=categories)
    return "changed"
