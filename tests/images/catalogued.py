"""Images for tests of the catalogue, and a catalogue that knows nothing yet."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import Any

from gateway.images.catalogue import ImageCatalogue
from gateway.images.entry import PIECE
from gateway.model.image import ImageInfo

PATIENCE = 60
"""Seconds that work at an image may take on a busy machine."""


def image_bytes(seed: int = 1, size: int = 2 * PIECE + 1000) -> bytes:
    """Return bytes that begin as a squashfs image does: three pieces, the last one short, no two alike."""
    block = random.Random(seed).randbytes(1021)
    return (b"hsqs" + block * (size // len(block) + 1))[:size]


def described(content: bytes) -> dict[str, Any]:
    """Return what whoever adds an image tells of its file."""
    pieces = [content[at : at + PIECE] for at in range(0, len(content), PIECE)]
    return {
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "size": len(content),
        "media_type": "application/vnd.squashfs",
        "pieces": [hashlib.sha256(piece).hexdigest() for piece in pieces],
    }


async def settled(catalogue: ImageCatalogue, key: str) -> ImageInfo:
    """Wait until nothing is under way with an image."""
    async with asyncio.timeout(PATIENCE):
        while (found := await catalogue.show(key)).work is not None and found.work.state == "running":
            await asyncio.sleep(0.01)
    return found
