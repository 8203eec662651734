"""Uploads: which files people sent, and how much of each is there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Text, and_, cast, delete, func, insert, or_, select, update

from gateway.db.tables import jobs, uploads
from gateway.model.states import LIVE


def add(connection: Connection, upload_id: str, owner: str, at: datetime, **values: Any) -> None:
    """Store an upload of which nothing has come yet."""
    row = {"id": upload_id, "owner": owner, "received": 0, "created_at": at, "used_at": at, **values}
    connection.execute(insert(uploads).values(row))


def get(connection: Connection, owner: str, name: str) -> RowMapping | None:
    """Return an upload of `owner` by its id, or by its digest: the complete one first, then the newest."""
    column = uploads.c.digest if name.startswith("sha256:") else uploads.c.id
    query = (
        select(uploads)
        .where(uploads.c.owner == owner, column == name)
        .order_by(uploads.c.completed_at.is_(None), uploads.c.created_at.desc(), uploads.c.id)
        .limit(1)
    )
    return connection.execute(query).mappings().one_or_none()


def complete_digests(connection: Connection, owner: str, digests: Sequence[str]) -> set[str]:
    """Return those of `digests` that `owner` has whole."""
    query = select(uploads.c.digest).where(
        uploads.c.owner == owner, uploads.c.digest.in_(list(digests)), uploads.c.completed_at.is_not(None)
    )
    return set(connection.scalars(query))


def page(
    connection: Connection, owner: str, *, limit: int, after: tuple[datetime, str] | None = None
) -> list[RowMapping]:
    """Return uploads of `owner`, newest first; `after` is the last row of the page before."""
    query = select(uploads).where(uploads.c.owner == owner)
    if after is not None:
        at, upload_id = after
        tie = and_(uploads.c.created_at == at, uploads.c.id < upload_id)
        query = query.where(or_(uploads.c.created_at < at, tie))
    return list(
        connection.execute(query.order_by(uploads.c.created_at.desc(), uploads.c.id.desc()).limit(limit)).mappings()
    )


def change(connection: Connection, upload_id: str, **values: Any) -> None:
    """Write columns of an upload."""
    connection.execute(update(uploads).where(uploads.c.id == upload_id).values(**values))


def touch(connection: Connection, owner: str, digests: Sequence[str], at: datetime) -> None:
    """Note that complete uploads are in use, so that they expire later."""
    if digests:
        connection.execute(
            update(uploads)
            .where(uploads.c.owner == owner, uploads.c.digest.in_(list(digests)), uploads.c.completed_at.is_not(None))
            .values(used_at=at)
        )


def remove(connection: Connection, upload_id: str) -> None:
    """Forget an upload."""
    connection.execute(delete(uploads).where(uploads.c.id == upload_id))


def total(connection: Connection, owner: str, without: str = "") -> int:
    """Return the bytes that all uploads of `owner` take or are going to take, one of them left out."""
    size = func.coalesce(uploads.c.size, uploads.c.received)
    query = select(func.coalesce(func.sum(size), 0)).where(uploads.c.owner == owner, uploads.c.id != without)
    return int(connection.execute(query).scalar_one())


def unused_since(connection: Connection, moment: datetime) -> list[RowMapping]:
    """Return uploads that nobody used since `moment` and no live job names."""
    rows = connection.execute(select(uploads).where(uploads.c.used_at < moment)).mappings()
    return [row for row in rows if not in_use(connection, row["owner"], row["digest"])]


def in_use(connection: Connection, owner: str, digest: str | None) -> bool:
    """Say whether a live job of `owner` names an upload: it may still have to be staged, perhaps again."""
    if digest is None:
        return False
    named = cast(jobs.c.spec, Text).contains(digest, autoescape=True)
    states = [str(state) for state in LIVE]
    query = select(jobs.c.id).where(jobs.c.owner == owner, jobs.c.state.in_(states), named).limit(1)
    return connection.execute(query).first() is not None


def ids(connection: Connection) -> set[str]:
    """Return the ids of all uploads."""
    return set(connection.scalars(select(uploads.c.id)))
