"""What the catalogue knows of a job's image, for its node: where it is to be had, and the hashes of its pieces."""

from __future__ import annotations

import logging

from sqlalchemy import Connection

from gateway.db import images
from gateway.db.database import Database
from gateway.engine.prepare import Batch
from gateway.images import rows
from gateway.images.entry import ImageEntry
from gateway.images.metalink import render_metalink
from gateway.model.specification import Image

log = logging.getLogger(__name__)


async def note_metalink(database: Database, target: str, image: Image | None, batch: Batch) -> None:
    """Put the metalink of `image` into the batch; None where the catalogue does not know its file."""
    if image is None or image.digest is None or image.is_built:
        return
    digest = image.digest

    def read(connection: Connection) -> tuple[ImageEntry | None, dict[str, float]]:
        return rows.load(connection, digest), images.rates_of(connection, target)

    async with batch.looking:
        if digest not in batch.metalinks:
            batch.metalinks[digest] = _metalink(*await database.read(read))


def _metalink(entry: ImageEntry | None, rates: dict[str, float]) -> bytes | None:
    if entry is None or entry.size is None:
        return None
    try:
        return render_metalink(entry, rates).encode()
    except ValueError as error:
        log.warning("%s", error)
        return None
