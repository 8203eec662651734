"""Bringing an image of the gateway to a target's cache: real bash on a real folder."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import subprocess
from pathlib import Path
from typing import IO, Any

import pytest

from gateway import templates
from gateway.compute import image_delivery
from gateway.compute.image_delivery import ImageFile, deliver, has_image
from gateway.compute.transport.base import CommandResult
from gateway.compute.transport.local import LocalTransport
from gateway.errors import RemoteCommandFailed, RemoteTimeout, TargetUnreachable

PIECE = 100_000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_delivery, "PIECE", PIECE)


@pytest.fixture
def image(tmp_path: Path) -> ImageFile:
    """A quarter of a megabyte that begins as a squashfs does."""
    body = b"hsqs" + os.urandom(250_000)
    file = tmp_path / "built.sqfs"
    file.write_bytes(body)
    return ImageFile("tool", hashlib.sha256(body).hexdigest(), len(body), file)


class Watched:
    """A transport that counts its commands, and can lose the link before one of them."""

    def __init__(self, inner: LocalTransport) -> None:
        self.inner, self.pieces, self.commands, self.broken_at = inner, 0, 0, -1

    async def run(self, script: str, *, data: bytes | IO[bytes] = b"", **options: Any) -> CommandResult:
        self.commands += 1
        if data:
            if self.pieces == self.broken_at:
                self.broken_at = -1
                raise TargetUnreachable("the link broke")
            self.pieces += 1
        return await self.inner.run(script, data=data, **options)


async def bring(transport: Any, cache: Path, image: ImageFile, sender: str = "us") -> list[int]:
    """Deliver, and return what the progress told."""
    told: list[int] = []

    async def progress(arrived: int, total: int) -> None:
        assert total == image.size
        told.append(arrived)

    await deliver(transport, str(cache), image, sender, progress)
    return told


async def test_an_image_arrives_whole_under_the_name_that_pulls_look_for(
    local: LocalTransport, tmp_path: Path, image: ImageFile
) -> None:
    cache = tmp_path / "a cache"

    told = await bring(local, cache, image)

    published = cache / f"{image.hex}.sqfs"
    assert published.read_bytes() == image.file.read_bytes()
    assert [path for path in cache.iterdir() if path.name != ".locks"] == [published]
    assert published.stat().st_mode & 0o222 == 0
    assert told == [0, PIECE, 2 * PIECE, image.size]
    pull = tmp_path / "pull.sh"
    pull.write_text(templates.puller())
    found = subprocess.run(
        ["bash", pull, cache, f"sha256:{image.hex}", "built:tool"], capture_output=True, text=True, check=True
    )
    assert found.stdout == f"{published}\n"


async def test_an_image_that_is_there_costs_one_short_command(
    local: LocalTransport, tmp_path: Path, image: ImageFile
) -> None:
    transport = Watched(local)
    await bring(transport, tmp_path / "cache", image)
    before = transport.commands

    assert await bring(transport, tmp_path / "cache", image) == []
    assert transport.commands == before + 1


async def test_what_arrived_before_the_link_broke_is_not_sent_again(
    local: LocalTransport, tmp_path: Path, image: ImageFile
) -> None:
    transport = Watched(local)
    transport.broken_at = 1
    with pytest.raises(TargetUnreachable):
        await bring(transport, tmp_path / "cache", image)
    assert not await has_image(local, str(tmp_path / "cache"), image)

    assert await bring(transport, tmp_path / "cache", image) == [PIECE, 2 * PIECE, image.size]
    assert transport.pieces == 3
    assert await has_image(local, str(tmp_path / "cache"), image)


@pytest.mark.parametrize("size", [50_000, 250_004, 900_000])
async def test_a_part_with_other_bytes_is_never_published(
    local: LocalTransport, tmp_path: Path, image: ImageFile, size: int
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    part = cache / f"{image.hex}.gateway-us.part"
    part.write_bytes(b"x" * size)
    if size <= image.size:
        with pytest.raises(RemoteCommandFailed, match="another digest"):
            await bring(local, cache, image)
        assert not part.exists()

    await bring(local, cache, image)
    assert (cache / f"{image.hex}.sqfs").read_bytes() == image.file.read_bytes()


async def test_a_published_image_is_never_replaced(local: LocalTransport, tmp_path: Path, image: ImageFile) -> None:
    cache = tmp_path / "cache"
    await asyncio.gather(*(bring(local, cache, image, f"gateway{number}") for number in range(3)))

    published = cache / f"{image.hex}.sqfs"
    before = published.stat()
    await bring(local, cache, image, "late")
    assert published.stat() == before
    assert [path for path in cache.iterdir() if path.name != ".locks"] == [published]


async def test_a_part_that_is_still_being_written_is_left_alone(
    local: LocalTransport, tmp_path: Path, image: ImageFile
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    part = cache / f"{image.hex}.gateway-us.part"
    with part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RemoteTimeout, match="still being written"):
            await bring(local, cache, image)
    assert part.stat().st_size == 0


async def test_a_cache_that_cannot_be_made_is_explained_in_its_own_words(
    local: LocalTransport, tmp_path: Path, image: ImageFile
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RemoteCommandFailed, match=r"the image tool could not be put into .*nothing can be written"):
        await bring(local, tmp_path / "file/cache", image)


async def test_a_file_that_shrank_here_is_told_and_nothing_is_published(
    local: LocalTransport, tmp_path: Path, image: ImageFile
) -> None:
    image.file.write_bytes(image.file.read_bytes()[:150_000])
    with pytest.raises(RemoteCommandFailed, match="shorter than it was"):
        await bring(local, tmp_path / "cache", image)
    assert not list((tmp_path / "cache").glob("*.sqfs"))
