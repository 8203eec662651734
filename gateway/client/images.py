"""The catalogue of images, as flows: ``gateway.run(images.find("fsl/6.0.3"))``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from gateway.client.calls import API, fetch, fetch_once
from gateway.client.flow import Emit, Flow, Request, pause
from gateway.model.image import CacheReport, CleanReport, ImageInfo, ImagePage, ImportReport
from gateway.model.job import Job

PAGE = 200
LONGEST_POLL = 2.0
"""Seconds between two looks at an image that one waits for, at most."""


def image_path(key: str, *rest: str) -> str:
    """Return the path of an image by its id, digest or name."""
    return "/".join((f"{API}/images", *(quote(part, safe="") for part in (key, *rest))))


def images(limit: int | None = None, filters: Mapping[str, str] | None = None) -> Flow[None]:
    """Emit images by name, page by page; filters as of ``GET /images``."""
    cursor: str | None = None
    left = limit
    while left is None or left > 0:
        query = {**(filters or {}), "limit": str(min(left or PAGE, PAGE))}
        if cursor:
            query["cursor"] = cursor
        page = yield from fetch(ImagePage, Request("GET", f"{API}/images", query))
        for found in page.items[:left]:
            yield Emit(found)
        left = None if left is None else left - len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


def find(key: str, *, pieces: bool = False) -> Flow[ImageInfo]:
    """Return an image; `NotFound` where there is none."""
    query = {"pieces": "true"} if pieces else {}
    return (yield from fetch(ImageInfo, Request("GET", image_path(key), query)))


def add(body: Mapping[str, Any]) -> Flow[ImageInfo]:
    """Take an image into the catalogue: `gateway.model.image.NewImage`."""
    return (yield from fetch(ImageInfo, Request("POST", f"{API}/images", json=dict(body), again=False)))


def change(key: str, changes: Mapping[str, Any]) -> Flow[ImageInfo]:
    """Change an image: `gateway.model.image.ImageChanges`."""
    return (yield from fetch(ImageInfo, Request("PATCH", image_path(key), json=dict(changes))))


def check(key: str, *, full: bool = False) -> Flow[ImageInfo]:
    """Begin to check the mirrors of an image."""
    return (yield from fetch(ImageInfo, Request("POST", image_path(key, "check"), json={"full": full})))


def wait(key: str) -> Flow[ImageInfo]:
    """Wait until nothing is under way with an image; emits it again and again."""
    delay = 0.1
    while True:
        found = yield from find(key)
        yield Emit(found)
        if found.work is None or found.work.state != "running":
            return found
        yield from pause(delay)
        delay = min(delay * 1.5, LONGEST_POLL)


def import_list(body: Mapping[str, Any]) -> Flow[ImportReport]:
    """Take over a list: `gateway.model.image.ImportOrder`."""
    return (yield from fetch(ImportReport, Request("POST", f"{API}/images/import", json=dict(body), timeout=300)))


def clean(unused_days: float, *, dry_run: bool = True) -> Flow[CleanReport]:
    """Remove from the catalogue what is retired, not pinned and unused; or only say what that would be."""
    body = {"unused_days": unused_days, "dry_run": dry_run}
    return (yield from fetch(CleanReport, Request("POST", f"{API}/images/gc", json=body, again=False)))


def prefetch(key: str, target: str | None = None) -> Flow[Job]:
    """Bring an image to a target by a small job; returns that job."""
    query = {"target": target} if target else {}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    return (yield from fetch_once(Job, Request("POST", image_path(key, "prefetch"), query, headers=headers)))


def make_room(target: str, limit: int | None = None) -> Flow[CacheReport]:
    """Remove images from a target's cache until it takes at most `limit` bytes; the configured limit by default."""
    path = f"{API}/targets/{quote(target, safe='')}/images/gc"
    return (yield from fetch(CacheReport, Request("POST", path, json={"limit": limit}, timeout=700, again=False)))
