"""Makes room in a target's image cache, by the puller's own rules: nothing that is in use is removed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from gateway import templates
from gateway.compute.transport.base import Transport
from gateway.errors import RemoteCommandFailed

PATIENCE = 600.0
"""Seconds: measuring unpacked images on a slow file system takes its time."""
_EVICTED = re.compile(r"evicted ((?:ref-)?[0-9a-f]{64}) ([0-9]{1,18})\Z")
_KEPT = re.compile(r"kept ((?:ref-)?[0-9a-f]{64}) ([0-9]{1,18}) ([a-z_]{1,32})\Z")
_LEFT = re.compile(r"left ([0-9]{1,18})\Z")


@dataclass(frozen=True)
class CachedImage:
    """An image of a cache; `kept` says why it stays (``in_use``, ``wanted`` …), None: it was removed."""

    key: str
    bytes: int
    kept: str | None


async def make_room(transport: Transport, cache: str, limit: int, keep: Iterable[str]) -> tuple[list[CachedImage], int]:
    """Remove images, the one that was used last at the very end, until the cache takes at most `limit` bytes.

    Parameters
    ----------
    keep
        Digests (``sha256:…``) of images that stay.

    Returns
    -------
    tuple
        What was looked at, in order, and the bytes that are left.

    Raises
    ------
    TargetError
    """
    words = shlex.join(["pull_evict", cache, str(limit), *sorted(keep)])
    script = f"GW_INLINED=1\n{templates.puller()}\nif [ -d {shlex.quote(cache)} ]; then {words}; else echo left 0; fi\n"
    result = await transport.run(script, timeout=PATIENCE)
    images, left = parse(result.text()[0])
    if left is None:
        why = " ".join(result.text()[1].split())[:300] or "its answer means nothing"
        raise RemoteCommandFailed(f"room could not be made in {cache}: {why}")
    return images, left


def parse(text: str) -> tuple[list[CachedImage], int | None]:
    """Read what was done, and the bytes that are left; None where that was not told. Pure."""
    images: list[CachedImage] = []
    left = None
    for line in text.splitlines():
        if match := _EVICTED.match(line):
            images.append(CachedImage(match[1], int(match[2]), None))
        elif match := _KEPT.match(line):
            images.append(CachedImage(match[1], int(match[2]), match[3]))
        elif match := _LEFT.match(line):
            left = int(match[1])
    return images, left
