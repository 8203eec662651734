"""Images of the catalogue out of the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping

from gateway.db import images as table
from gateway.images.entry import PIECE, ImageEntry, Mirror, Pieces


def load(connection: Connection, key: str) -> ImageEntry | None:
    """Return the image with this id, digest or name, with its pieces; None where there is none."""
    row = table.find(connection, key)
    return entries(connection, [row])[0] if row is not None else None


def live(connection: Connection) -> list[ImageEntry]:
    """Return all live images in the order of their names, without their pieces."""
    return entries(connection, table.page(connection, table.ImageFilter(live=True), None, 1_000_000))


def entries(connection: Connection, rows: Sequence[RowMapping]) -> list[ImageEntry]:
    """Return the images of rows, with their names and mirrors."""
    ids = [row["id"] for row in rows]
    names, mirrors = table.names_of(connection, ids), table.mirrors_of(connection, ids)
    return [_entry(dict(row), names.get(row["id"], []), mirrors.get(row["id"], [])) for row in rows]


def _entry(row: dict[str, Any], names: Sequence[str], mirrors: Sequence[RowMapping]) -> ImageEntry:
    hashes = row.get("pieces")
    return ImageEntry(
        id=row["id"],
        digest=row["digest"],
        names=tuple(names),
        size=row["size"],
        media_type=row["media_type"],
        pieces=Pieces(hashes, row["piece_size"] or PIECE) if hashes else None,
        sources=tuple(row["sources"]),
        mirrors=tuple(_mirror(mirror) for mirror in mirrors),
        categories=tuple(row["categories"]),
        commands=tuple(row["commands"]),
        created_at=row["created_at"],
        summary=row["summary"],
        architecture=row["architecture"],
        manifest_digest=row["manifest_digest"],
        origin=row["origin"],
        pinned=row["pinned"],
        live=row["live"],
        used_at=row["used_at"],
    )


def _mirror(row: RowMapping) -> Mirror:
    return Mirror(row["url"], row["region"], row["state"], row["checked_at"], row["rate_bytes_per_s"], row["problem"])
