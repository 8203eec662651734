"""The bash libraries that scripts load from their target: each text once, by its digest."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from gateway.db.tables import script_libraries


def keep(connection: Connection, digest: str, text: str) -> None:
    """Store a text, unless it is there."""
    if read(connection, digest) is None:
        connection.execute(insert(script_libraries).values(digest=digest, text=text))


def read(connection: Connection, digest: str) -> str | None:
    """Return a text."""
    return connection.execute(
        select(script_libraries.c.text).where(script_libraries.c.digest == digest)
    ).scalar_one_or_none()
