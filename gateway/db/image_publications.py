"""Which image is in which mirror, and who works at it: queries. One process at a time works at an image."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from gateway.db.image_tables import image_names, image_publications, images
from gateway.db.tables import counters

rows = image_publications.c
CHUNK = 500
_DAILY = "image_publishing"


def live_images(connection: Connection, after: str = "", limit: int = CHUNK) -> list[str]:
    """Return a page of the ids of live images, in their order."""
    query = select(images.c.id).where(images.c.live.is_(True), images.c.id > after).order_by(images.c.id).limit(limit)
    return list(connection.scalars(query))


def want(connection: Connection, image_ids: Sequence[str], mirrors: Sequence[str], by: str, now: datetime) -> int:
    """Write down that images are to be in mirrors; return how many publications those are.

    What a process works at just now is left to it: it looks at everything anyway.
    """
    for start in range(0, len(image_ids), CHUNK):
        chunk = list(image_ids[start : start + CHUNK])
        mine = and_(rows.image_id.in_(chunk), rows.mirror.in_(list(mirrors)))
        known = {
            (row.image_id, row.mirror) for row in connection.execute(select(rows.image_id, rows.mirror).where(mine))
        }
        again = {"state": "wanted", "tries": 0, "held_until": None, "by": by, "updated_at": now}
        connection.execute(update(image_publications).where(mine, rows.holder.is_(None)).values(**again))
        fresh = {**again, "bytes": 0}
        new = [
            {"image_id": image_id, "mirror": mirror, **fresh}
            for image_id in chunk
            for mirror in mirrors
            if (image_id, mirror) not in known
        ]
        if new:
            connection.execute(insert(image_publications), new)
    return len(image_ids) * len(mirrors)


def _held(now: datetime, holder: str, alone: bool) -> ColumnElement[bool]:
    """Rows that another process works at; where no other one does such work, another holder has died."""
    if alone:
        return literal(False)
    return and_(rows.holder.is_not(None), rows.holder != holder, rows.held_until > now)


def take(
    connection: Connection,
    holder: str,
    mirrors: Collection[str],
    now: datetime,
    until: datetime,
    *,
    alone: bool = False,
    but: Collection[str] = (),
) -> tuple[str, list[str]] | None:
    """Return the image that waits longest and the mirrors it waits for, and work at it from now on; None: none waits.

    Parameters
    ----------
    mirrors
        Those that are configured.
    alone
        No other process publishes: another holder is one that has died.
    but
        Images that this process works at already.
    """
    due = or_(rows.held_until.is_(None), rows.held_until <= now)
    if alone:
        due = or_(due, and_(rows.holder.is_not(None), rows.holder != holder))
    busy = select(rows.image_id).where(_held(now, holder, alone))
    waiting = and_(
        rows.state.in_(("wanted", "working", "failed")),
        or_(rows.state != "failed", rows.held_until.is_not(None)),
        due,
        rows.mirror.in_(list(mirrors)),
        rows.image_id.not_in(list(but)),
        rows.image_id.not_in(busy),
    )
    query = select(rows.image_id).where(waiting).order_by(rows.updated_at, rows.image_id).limit(1)
    image_id = connection.scalar(query)
    if image_id is None:
        return None
    mine = and_(rows.image_id == image_id, waiting)
    found = list(connection.scalars(select(rows.mirror).where(mine).with_for_update()))
    values = {"state": "working", "holder": holder, "held_until": until, "bytes": 0, "updated_at": now}
    connection.execute(
        update(image_publications).where(rows.image_id == image_id, rows.mirror.in_(found)).values(**values)
    )
    return str(image_id), found


def keep(connection: Connection, holder: str, image_id: str, until: datetime) -> bool:
    """Work on for longer; return whether the image is still this process's."""
    mine = and_(rows.image_id == image_id, rows.holder == holder)
    return bool(connection.execute(update(image_publications).where(mine).values(held_until=until)).rowcount)


def write(connection: Connection, holder: str, image_id: str, mirror: str, /, **values: Any) -> bool:
    """Write columns of a publication that this process works at; return whether it does."""
    mine = and_(rows.image_id == image_id, rows.mirror == mirror, rows.holder == holder)
    return bool(connection.execute(update(image_publications).where(mine).values(**values)).rowcount)


def of_image(connection: Connection, image_id: str) -> dict[str, RowMapping]:
    """Return an image's publications by mirror."""
    query = select(image_publications).where(rows.image_id == image_id)
    return {row["mirror"]: row for row in connection.execute(query).mappings()}


def let_go(connection: Connection, holder: str) -> None:
    """Leave what this process worked at to the next one, as it stands."""
    values = {"state": "wanted", "holder": None, "held_until": None}
    connection.execute(update(image_publications).where(rows.holder == holder).values(**values))


def _described() -> Select[Any]:
    name = select(func.min(image_names.c.name)).where(image_names.c.image_id == rows.image_id).scalar_subquery()
    columns = (image_publications, images.c.digest, images.c.size, name.label("name"))
    return select(*columns).join(images, images.c.id == rows.image_id)


def page(
    connection: Connection,
    *,
    image_ids: Sequence[str] | None = None,
    mirror: str | None = None,
    states: Sequence[str] = (),
    after: tuple[str, str] | None = None,
    limit: int = 100,
) -> list[RowMapping]:
    """Return publications with what names their images, by image and mirror."""
    query = _described()
    if image_ids is not None:
        query = query.where(rows.image_id.in_(list(image_ids)))
    if mirror is not None:
        query = query.where(rows.mirror == mirror)
    if states:
        query = query.where(rows.state.in_(list(states)))
    if after is not None:
        query = query.where(tuple_(rows.image_id, rows.mirror) > tuple_(literal(after[0]), literal(after[1])))
    return list(connection.execute(query.order_by(rows.image_id, rows.mirror).limit(limit)).mappings())


def counts(connection: Connection) -> dict[str, Mapping[str, int]]:
    """Return for each mirror how many images are in which state."""
    found: dict[str, dict[str, int]] = {}
    query = select(rows.mirror, rows.state, func.count()).group_by(rows.mirror, rows.state)
    for mirror, state, count in connection.execute(query):
        found.setdefault(mirror, {})[state] = count
    return dict(found)


def scheduled(connection: Connection, now: datetime, seconds: float) -> bool:
    """Say whether it is time for the next run, and note that it is made."""
    at = round(now.timestamp() * 1_000_000)
    last = connection.scalar(select(counters.c.value).where(counters.c.name == _DAILY).with_for_update())
    if last is None:
        connection.execute(insert(counters).values(name=_DAILY, value=at))
        return True
    if at - last < seconds * 1_000_000:
        return False
    connection.execute(update(counters).where(counters.c.name == _DAILY).values(value=at))
    return True
