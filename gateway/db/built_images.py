"""The record of images that this gateway built from recipes: which, when, and from what."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, insert, select

from gateway.db.tables import built_images


def record(
    connection: Connection, *, digest: str, name: str, file: str, size: int, recipe: str, built_at: datetime
) -> None:
    """Write down that `recipe` (the digest of what it was built from) gave the image `digest`."""
    connection.execute(delete(built_images).where(built_images.c.digest == digest))
    connection.execute(
        insert(built_images).values(digest=digest, name=name, file=file, size=size, recipe=recipe, built_at=built_at)
    )


def all_of(connection: Connection) -> list[RowMapping]:
    """Return all images, the newest first."""
    return list(connection.execute(select(built_images).order_by(built_images.c.built_at.desc())).mappings())
