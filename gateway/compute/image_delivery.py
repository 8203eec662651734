"""Brings an image file of the gateway to a target's image cache: in pieces, resumable, verified, published whole."""

from __future__ import annotations

import asyncio
import posixpath
import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway import templates
from gateway.compute import scripts
from gateway.compute.transport.base import CommandResult, Transport
from gateway.errors import RemoteCommandFailed, RemoteTimeout

PIECE = 8 * 1024 * 1024
"""Bytes that one command carries: what is lost when the link breaks."""
SLOWEST = 64 * 1024
"""Bytes a second that a link must manage."""
BUSY = 75
"""Exit status: an earlier command is still writing to the part."""

Progress = Callable[[int, int], Awaitable[None]]
"""Told the bytes that have arrived, and all."""


@dataclass(frozen=True)
class ImageFile:
    """An image on this machine.

    Attributes
    ----------
    name
        For sentences.
    hex
        SHA-256 of the file.
    size
        Bytes.
    """

    name: str
    hex: str
    size: int
    file: Path


async def has_image(transport: Transport, cache: str, image: ImageFile) -> bool:
    """Say whether the whole image stands in the target's cache. Raises `TargetError`."""
    result = await transport.run(
        f"{scripts.read('images')}\ngw_image_look {shlex.quote(cache)} {image.hex} {image.size}"
    )
    return result.text()[0].startswith("have")


async def deliver(transport: Transport, cache: str, image: ImageFile, sender: str, on_progress: Progress) -> None:
    """Put the image into the target's cache unless it is there. What a broken try brought is gone on with.

    Parameters
    ----------
    cache
        Absolute folder on the target.
    sender
        Names this gateway, so that two of them never write to one part: letters, digits and ``-``.

    Raises
    ------
    TargetUnreachable
        The link broke, or was too slow: call it again.
    RemoteCommandFailed
        The target does not take it, and its own words say why; or the file here cannot be read.
    """
    if await has_image(transport, cache, image):
        return
    part = posixpath.join(cache, f"{image.hex}.gateway-{sender}.part")
    there = await _begin(transport, cache, part, image)
    while there < image.size:
        await on_progress(there, image.size)
        there = await _send(transport, part, image, there)
    await on_progress(there, image.size)
    result = await transport.run(
        f"{_functions()}\ngw_image_publish {shlex.quote(cache)} {image.hex} {shlex.quote(part)}",
        timeout=120 + image.size / (16 * SLOWEST),
    )
    _check(result, cache, image)


def _functions() -> str:
    return f"GW_INLINED=1\n{templates.puller()}\n{scripts.read('images')}"


async def _begin(transport: Transport, cache: str, part: str, image: ImageFile) -> int:
    """Make the cache ready; return how much of the image an earlier try has brought."""
    result = await transport.run(f"{_functions()}\ngw_image_begin {shlex.quote(cache)} {shlex.quote(part)}")
    _check(result, cache, image)
    there = _number("part", result)
    free = re.search(r"^free (\d+)$", result.text()[0], re.MULTILINE)
    if there > image.size:
        there = 0
    if free is not None and int(free[1]) < image.size - there:
        raise RemoteCommandFailed(
            f"the image {image.name} has {image.size} bytes, and only {free[1]} are free in {cache}"
        )
    return there


async def _send(transport: Transport, part: str, image: ImageFile, there: int) -> int:
    """Send the next piece; return how much is there then."""
    piece = await asyncio.to_thread(_read, image, there)
    script = f"{scripts.read('images')}\ngw_image_piece {shlex.quote(part)} {there}"
    result = await transport.run(script, data=piece, timeout=60 + len(piece) / SLOWEST)
    if result.exit_status == BUSY:
        raise RemoteTimeout(f"the image {image.name}: {_words(result)}")
    _check(result, posixpath.dirname(part), image)
    after = _number("part", result)
    if not there < after <= there + len(piece):
        raise RemoteTimeout(f"the image {image.name}: a piece of it did not arrive whole")
    return after


def _read(image: ImageFile, offset: int) -> bytes:
    try:
        with image.file.open("rb") as source:
            source.seek(offset)
            piece = source.read(PIECE)
    except OSError as error:
        raise RemoteCommandFailed(f"the image {image.name} cannot be read by the gateway: {error.strerror}") from None
    if not piece:
        raise RemoteCommandFailed(f"the gateway's file of the image {image.name} is shorter than it was")
    return piece


def _number(word: str, result: CommandResult) -> int:
    found = re.search(rf"^{word} (\d+)$", result.text()[0], re.MULTILINE)
    if found is None:
        raise RemoteCommandFailed(f"the target's answer about an image means nothing: {result.text()[0][:100]!r}")
    return int(found[1])


def _check(result: CommandResult, cache: str, image: ImageFile) -> None:
    if result.exit_status != 0:
        raise RemoteCommandFailed(f"the image {image.name} could not be put into {cache}: {_words(result)}")


def _words(result: CommandResult) -> str:
    return " ".join(result.text()[1].split())[:300] or "no reason was given"
