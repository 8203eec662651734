"""Whether mirrors have an image: by reading parts of the very file, and comparing them with what is known of it."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from gateway.errors import GatewayError, UrlError
from gateway.images.entry import ImageEntry, Mirror, MirrorState
from gateway.images.measure import HEAD, media_type, not_an_image
from gateway.urls import UrlOpener

PATIENCE = 60.0
"""Seconds for one part."""
SMALL = 64 * 1024
"""Bytes that are read of an image of which no pieces are known."""
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})\Z")

NO_RANGES = "it serves no parts of files: only whole ones, one mirror after the other"


@dataclass(frozen=True)
class Seen:
    """How a check found a mirror."""

    state: MirrorState
    rate_bytes_per_s: float | None = None
    problem: str | None = None


class _Wrong(Exception):
    """What the mirror has is not the image."""


@dataclass
class _Part:
    """A part of a file as it came."""

    total: int | None
    ranged: bool
    size: int
    digest: str
    head: bytes
    seconds: float


def host_of(url: str) -> str | None:
    """Return the host of an http(s) address, with its port; None for what is none."""
    try:
        parts = urlsplit(url)
        return parts.netloc.rpartition("@")[2].lower() or None if parts.scheme in ("http", "https") else None
    except ValueError:
        return None


def in_order(mirrors: Sequence[Mirror], rates: Mapping[str, float], region: str | None) -> tuple[Mirror, ...]:
    """Return mirrors as a target should try them. Pure.

    Those that have something else are left out; those that did not answer come last. The fastest by the target's own
    rates come first, then those of its region, then as they stand. Files of the target come before all.

    Parameters
    ----------
    rates
        Bytes a second by host, as the target's jobs saw them.
    """

    def rank(item: tuple[int, Mirror]) -> tuple[int, int, float, int, int]:
        position, mirror = item
        host = host_of(mirror.url)
        rate = rates.get(host or "", 0.0)
        near = int(region is None or mirror.region != region)
        return (int(host is not None), int(mirror.state == "dead"), -rate, near, position)

    good = [item for item in enumerate(mirrors) if item[1].state != "wrong"]
    return tuple(mirror for _, mirror in sorted(good, key=rank))


async def look_at(urls: UrlOpener, url: str, image: ImageEntry, patience: float = PATIENCE) -> Seen:
    """Read the first, a middle and the last piece of an image from a mirror; never raises for what the mirror does."""
    if host_of(url) is None:
        return Seen("unknown", problem="a path of the targets: only they can read it")
    size, seconds, note = 0, 0.0, None
    try:
        for first, last, digest in _parts(image):
            part = await _read(urls, url, first, last, patience)
            _compare(part, image, first, digest)
            size, seconds = size + part.size, seconds + part.seconds
            if not part.ranged:
                note = NO_RANGES
                break
    except _Wrong as error:
        return Seen("wrong", problem=str(error))
    except GatewayError as error:
        return Seen("dead", problem=error.message)
    return Seen("alive", size / seconds if seconds > 0 else None, note)


def _parts(image: ImageEntry) -> list[tuple[int, int, str | None]]:
    """Return which bytes to read, first and last, with their digest where it is known."""
    pieces, size = image.pieces, image.size
    if pieces is None or size is None:
        return [(0, (SMALL if size is None else min(size, SMALL)) - 1, None)]
    numbers = sorted({0, len(pieces) // 2, len(pieces) - 1})
    return [(n * pieces.size, min((n + 1) * pieces.size, size) - 1, pieces[n]) for n in numbers]


def _compare(part: _Part, image: ImageEntry, first: int, digest: str | None) -> None:
    if image.size is not None and part.total is not None and part.total != image.size:
        raise _Wrong(f"the file has {part.total} bytes, the image {image.size}")
    if first == 0 and media_type(part.head) is None and (digest is None or part.digest != digest):
        raise _Wrong(not_an_image(part.head))
    if digest is not None and part.digest != digest:
        raise _Wrong(f"the bytes from {first} on are not the image's")


async def _read(urls: UrlOpener, url: str, first: int, last: int, patience: float) -> _Part:
    """Read bytes `first` to `last`; a server that sends the whole file is read so far, from its beginning only."""
    hasher, size, head, began = hashlib.sha256(), 0, b"", time.monotonic()
    wanted = last - first + 1
    try:
        async with (
            asyncio.timeout(patience),
            urls.follow(url, {"Range": f"bytes={first}-{last}"}) as response,
        ):
            total, ranged = _answer(response.status_code, response.headers, first)
            async for chunk in response.aiter_raw():
                data = chunk[: wanted - size]
                size += len(data)
                head += data[: max(0, HEAD - len(head))]
                await asyncio.to_thread(hasher.update, data)
                if size == wanted:
                    break
    except TimeoutError:
        raise UrlError(f"only {size} bytes came in {patience:g} s") from None
    return _Part(total, ranged, size, hasher.hexdigest(), head, time.monotonic() - began)


def _answer(status: int, headers: Mapping[str, str], first: int) -> tuple[int | None, bool]:
    """Return the size that a server names, and whether it sends the part that was asked for."""
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise _Wrong(f"the file is shorter than the image: it has no byte {first}")
    if status == HTTPStatus.PARTIAL_CONTENT:
        match = _RANGE.match(headers.get("Content-Range", ""))
        if match is None or int(match[1]) != first:
            raise UrlError("it does not send the part of the file that was asked for")
        return int(match[3]), True
    if status != HTTPStatus.OK:
        raise UrlError(f"it answers with status {status}")
    if first > 0:
        raise UrlError("it does not send the part of the file that was asked for")
    length = headers.get("Content-Length", "")
    return int(length) if re.fullmatch("[0-9]{1,18}", length) else None, False
