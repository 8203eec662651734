"""What references to images meant: tags of registries, the manifests behind them; and which jobs are to be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, insert, or_, select

from gateway.db.image_tables import image_mirrors, image_resolutions, images
from gateway.db.jobs import set_columns
from gateway.db.tables import jobs
from gateway.model.states import State

UNSENT = (State.ACCEPTED, State.STAGING)
"""A job of these states has not been given to its scheduler: what its image is may still be written down."""
_AT_ONCE = 2000
MAX_MIRRORS = 16
"""That a job's specification may name."""


@dataclass(frozen=True)
class Resolution:
    """What a reference means, for an architecture.

    Attributes
    ----------
    digest, size
        Of the image file, where they are known.
    mirrors
        Where that very file lies.
    """

    manifest_digest: str | None
    digest: str | None = None
    size: int | None = None
    mirrors: tuple[str, ...] = ()


def record(connection: Connection, reference: str, architecture: str, found: Resolution, at: datetime) -> None:
    """Write down what a reference means now."""
    same = and_(image_resolutions.c.reference == reference, image_resolutions.c.architecture == architecture)
    connection.execute(delete(image_resolutions).where(same))
    values = {"manifest_digest": found.manifest_digest, "digest": found.digest, "size": found.size, "resolved_at": at}
    connection.execute(insert(image_resolutions).values(reference=reference, architecture=architecture, **values))


def find(connection: Connection, reference: str, architecture: str) -> RowMapping | None:
    """Return what a reference meant when it was last resolved."""
    query = select(image_resolutions).where(
        image_resolutions.c.reference == reference, image_resolutions.c.architecture == architecture
    )
    return connection.execute(query).mappings().one_or_none()


def published(connection: Connection, manifest_digest: str, architectures: Sequence[str]) -> Resolution | None:
    """Return the live image of the catalogue that was made from a manifest, and where it lies; None: nowhere.

    Parameters
    ----------
    architectures
        The names that one architecture goes by.
    """
    query = (
        select(images.c.id, images.c.digest, images.c.size)
        .where(
            images.c.manifest_digest == manifest_digest,
            images.c.digest.is_not(None),
            images.c.live,
            or_(images.c.architecture.is_(None), images.c.architecture.in_(list(architectures))),
        )
        .order_by(images.c.created_at)
    )
    for image in connection.execute(query):
        lies = image_mirrors.c.image_id == image.id
        alive = (
            select(image_mirrors.c.url)
            .where(lies, image_mirrors.c.state.in_(("alive", "unknown")))
            .order_by(image_mirrors.c.state, image_mirrors.c.position)  # "alive" comes first
            .limit(MAX_MIRRORS)
        )
        if urls := tuple(connection.execute(alive).scalars()):
            return Resolution(manifest_digest, image.digest, image.size, urls)
    return None


def to_resolve(connection: Connection, job_ids: Sequence[str], schemes: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return the specifications of those jobs that name an image (or a tool) by one of `schemes`."""
    found: dict[str, Mapping[str, Any]] = {}
    reference = jobs.c.spec[("image", "ref")].as_string()
    named = or_(*(reference.startswith(f"{scheme}:", autoescape=True) for scheme in schemes))
    tools = jobs.c.spec["tools"].as_string()
    has_tools = and_(tools.is_not(None), tools != "[]")
    for start in range(0, len(job_ids), _AT_ONCE):
        some = list(job_ids[start : start + _AT_ONCE])
        query = select(jobs.c.id, jobs.c.spec).where(jobs.c.id.in_(some), or_(named, has_tools))
        found |= {row.id: row.spec for row in connection.execute(query)}
    return found


def settle(connection: Connection, job_id: str, reference: str, found: Resolution) -> None:
    """Write into a job what its image is, unless that stands there already, or the job was sent."""
    row = connection.execute(
        select(jobs.c.state, jobs.c.spec).where(jobs.c.id == job_id).with_for_update()
    ).one_or_none()
    if row is None or State(row.state) not in UNSENT:
        return
    image, tools = row.spec.get("image"), row.spec.get("tools") or []
    settled = {**row.spec, "image": _settled(image, reference, found)}
    if tools:
        settled["tools"] = [_settled(tool, reference, found) for tool in tools]
    if settled != row.spec:
        set_columns(connection, job_id, spec=settled)


def _settled(image: Any, reference: str, found: Resolution) -> Any:
    if not isinstance(image, dict) or image.get("ref") != reference:
        return image
    wanted = {"manifest_digest": found.manifest_digest, "digest": found.digest, "mirrors": list(found.mirrors)}
    return {**image, **{key: image.get(key) or value for key, value in wanted.items()}}
