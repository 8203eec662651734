"""Images of the catalogue as the API shows them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.images.entry import ImageEntry
from gateway.model.image import ImageInfo, ImageMirror, ImageSummary, ImageWork

STALE = timedelta(seconds=60)
"""After so long without a word, the process that worked at an image has gone."""


def work_of(work: Mapping[str, Any] | None, now: datetime) -> ImageWork | None:
    """Return what is done with an image, as the database says."""
    if work is None:
        return None
    found = ImageWork.model_validate(dict(work))
    if found.state == "running" and found.at < now - STALE:
        return found.model_copy(update={"state": "interrupted"})
    return found


def summary_of(entry: ImageEntry, work: Mapping[str, Any] | None = None) -> ImageSummary:
    """Return an image as lists show it."""
    return ImageSummary(**_shared(entry, work))


def info_of(entry: ImageEntry, work: Mapping[str, Any] | None = None, *, pieces: bool = False) -> ImageInfo:
    """Return all of an image; the hashes of its pieces where they are asked for."""
    return ImageInfo(
        **_shared(entry, work),
        mirrors=[
            ImageMirror(
                url=mirror.url,
                region=mirror.region,
                state=mirror.state,
                checked_at=mirror.checked_at,
                rate_bytes_per_s=mirror.rate_bytes_per_s,
                problem=mirror.problem,
            )
            for mirror in entry.mirrors
        ],
        sources=list(entry.sources),
        commands=list(entry.commands),
        manifest_digest=entry.manifest_digest,
        piece_size=entry.pieces.size if entry.pieces else None,
        piece_count=len(entry.pieces) if entry.pieces else 0,
        pieces=list(entry.pieces) if pieces and entry.pieces else None,
    )


def _shared(entry: ImageEntry, work: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "names": list(entry.names),
        "digest": entry.digest,
        "size": entry.size,
        "media_type": entry.media_type,
        "architecture": entry.architecture,
        "categories": list(entry.categories),
        "summary": entry.summary,
        "origin": entry.origin,
        "pinned": entry.pinned,
        "live": entry.live,
        "mirrors_alive": sum(mirror.state == "alive" for mirror in entry.mirrors),
        "mirrors_known": len(entry.mirrors),
        "created_at": entry.created_at,
        "used_at": entry.used_at,
        "work": work_of(work, datetime.now(UTC)),
    }
