"""The catalogue of images, and what targets saw of mirrors."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Text, cast, delete, func, insert, or_, select
from sqlalchemy import update as update_rows

from gateway.db.image_tables import image_mirrors, image_names, image_rates, images
from gateway.db.jobs import now
from gateway.db.tables import jobs
from gateway.model.states import ENDED

_LISTED = [column for column in images.c if column.name != "pieces"]
_OLD_WEIGHT = 0.7
"""Of what was seen before, when a new rate is noted."""


@dataclass(frozen=True)
class ImageFilter:
    """Which images of a list; None: whatever it is."""

    q: str | None = None
    category: str | None = None
    live: bool | None = None
    pinned: bool | None = None


def find(connection: Connection, key: str) -> RowMapping | None:
    """Return the image with this id, digest or name, with its pieces."""
    column = images.c.digest if key.startswith("sha256:") else images.c.id
    query = select(images).where(column == key)
    if "/" in key:
        query = select(images).join(image_names).where(image_names.c.name == key)
    return connection.execute(query).mappings().first()


def page(
    connection: Connection, wanted: ImageFilter, after: tuple[str, str] | None, limit: int
) -> Sequence[RowMapping]:
    """Return images in the order of their first names (``shown``), without their pieces.

    Parameters
    ----------
    after
        ``shown`` and id of the last one before.
    """
    first = (
        select(image_names.c.image_id, func.min(image_names.c.name).label("name"))
        .group_by(image_names.c.image_id)
        .subquery()
    )
    shown = func.coalesce(first.c.name, images.c.id)
    query: Select[Any] = select(*_LISTED, shown.label("shown")).outerjoin(first, first.c.image_id == images.c.id)
    query = query.where(*_conditions(wanted)).order_by(shown, images.c.id).limit(limit)
    if after is not None:
        query = query.where(or_(shown > after[0], (shown == after[0]) & (images.c.id > after[1])))
    return connection.execute(query).mappings().all()


def _conditions(wanted: ImageFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.live is not None:
        found.append(images.c.live.is_(wanted.live))
    if wanted.pinned is not None:
        found.append(images.c.pinned.is_(wanted.pinned))
    if wanted.category is not None:
        found.append(cast(images.c.categories, Text).contains(f'"{wanted.category}"', autoescape=True))
    if wanted.q:
        named = select(image_names.c.image_id).where(image_names.c.name.icontains(wanted.q, autoescape=True))
        texts = (images.c.summary, cast(images.c.categories, Text), images.c.digest)
        found.append(or_(images.c.id.in_(named), *(text.icontains(wanted.q, autoescape=True) for text in texts)))
    return found


def names_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of images, in order, by id."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    query = select(image_names).where(image_names.c.image_id.in_(ids)).order_by(image_names.c.name)
    for row in connection.execute(query).mappings():
        found[row["image_id"]].append(row["name"])
    return found


def mirrors_of(connection: Connection, ids: Sequence[str]) -> dict[str, list[RowMapping]]:
    """Return the mirrors of images, in order, by id."""
    found: defaultdict[str, list[RowMapping]] = defaultdict(list)
    query = select(image_mirrors).where(image_mirrors.c.image_id.in_(ids)).order_by(image_mirrors.c.position)
    for row in connection.execute(query).mappings():
        found[row["image_id"]].append(row)
    return found


def insert_image(connection: Connection, values: Mapping[str, Any]) -> str:
    """Store a new image and return its id."""
    at = now()
    row = {
        "id": str(uuid.uuid4()),
        "sources": [],
        "categories": [],
        "commands": [],
        "summary": "",
        "origin": "added",
        "pinned": False,
        "live": True,
        "created_at": at,
        "updated_at": at,
        **values,
    }
    connection.execute(insert(images).values(row))
    return str(row["id"])


def update(connection: Connection, image_id: str, **values: Any) -> bool:
    """Change columns of an image; say whether it is there."""
    changed = connection.execute(update_rows(images).where(images.c.id == image_id).values(updated_at=now(), **values))
    return changed.rowcount == 1


def note_work(connection: Connection, image_id: str, work: Mapping[str, Any] | None) -> None:
    """Write down how far a reading or a check is."""
    connection.execute(update_rows(images).where(images.c.id == image_id).values(work=work))


def note_use(connection: Connection, digests: Iterable[str]) -> None:
    """Write down that jobs asked for these files; once an hour is enough."""
    wanted = sorted(set(digests))
    if wanted:
        at = now()
        stale = or_(images.c.used_at.is_(None), images.c.used_at < at - timedelta(hours=1))
        connection.execute(update_rows(images).where(images.c.digest.in_(wanted), stale).values(used_at=at))


def remove(connection: Connection, image_id: str) -> None:
    """Remove an image with its names and mirrors."""
    connection.execute(delete(images).where(images.c.id == image_id))


def taken_names(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    """Return which image (id) each of these names belongs to, of those that are taken."""
    query = select(image_names).where(image_names.c.name.in_(names))
    return {row["name"]: row["image_id"] for row in connection.execute(query).mappings()}


def set_names(connection: Connection, image_id: str, names: Iterable[str]) -> None:
    """Give an image exactly these names; another image that has one loses it."""
    wanted = list(dict.fromkeys(names))
    of_image = image_names.c.image_id == image_id
    connection.execute(delete(image_names).where(or_(of_image, image_names.c.name.in_(wanted))))
    if wanted:
        connection.execute(insert(image_names), [{"name": name, "image_id": image_id} for name in wanted])


def set_mirrors(connection: Connection, image_id: str, mirrors: Sequence[tuple[str, str | None]]) -> None:
    """Give an image exactly these mirrors (address, region), in this order; what is known of them stays."""
    known = {row["url"]: row for row in mirrors_of(connection, [image_id])[image_id]}
    connection.execute(delete(image_mirrors).where(image_mirrors.c.image_id == image_id))
    rows = []
    for position, (url, region) in enumerate(dict(mirrors).items()):
        before = dict(known.get(url) or {"state": "unknown"})
        rows.append({**_UNSEEN, **before, "image_id": image_id, "url": url, "position": position, "region": region})
    if rows:
        connection.execute(insert(image_mirrors), rows)


_UNSEEN: dict[str, Any] = {"state": "unknown", "checked_at": None, "rate_bytes_per_s": None, "problem": None}


def note_mirror(connection: Connection, image_id: str, url: str, **values: Any) -> None:
    """Write down what a check saw of a mirror."""
    place = (image_mirrors.c.image_id == image_id) & (image_mirrors.c.url == url)
    connection.execute(update_rows(image_mirrors).where(place).values(checked_at=now(), **values))


def note_rate(connection: Connection, target: str, host: str, rate: float) -> None:
    """Write down how fast a job of a target got an image from a host."""
    place = (image_rates.c.target == target) & (image_rates.c.host == host)
    old = connection.execute(select(image_rates.c.rate_bytes_per_s).where(place)).scalar()
    if old is None:
        row = {"target": target, "host": host, "rate_bytes_per_s": rate, "observed_at": now()}
        connection.execute(insert(image_rates).values(row))
        return
    mean = _OLD_WEIGHT * old + (1 - _OLD_WEIGHT) * rate
    connection.execute(update_rows(image_rates).where(place).values(rate_bytes_per_s=mean, observed_at=now()))


def rates_of(connection: Connection, target: str) -> dict[str, float]:
    """Return how fast each host was for a target's jobs, in bytes a second."""
    query = select(image_rates.c.host, image_rates.c.rate_bytes_per_s).where(image_rates.c.target == target)
    return {row["host"]: row["rate_bytes_per_s"] for row in connection.execute(query).mappings()}


def unused(connection: Connection, before: datetime) -> Sequence[RowMapping]:
    """Return images that are retired and not pinned, and that no job asked for since `before`, nor a live one names."""
    last = func.coalesce(images.c.used_at, images.c.updated_at)
    query = select(*_LISTED).where(images.c.live.is_(False), images.c.pinned.is_(False), last < before)
    rows = connection.execute(query.order_by(images.c.id)).mappings().all()
    live = select(jobs.c.spec).where(jobs.c.state.not_in([str(state) for state in ENDED]))
    named = {((spec or {}).get("image") or {}).get("digest") for (spec,) in connection.execute(live)} if rows else set()
    return [row for row in rows if row["digest"] is None or row["digest"] not in named]
