"""Brings a whole image to this machine, from wherever it is, for a time: what is to be published, or unpacked.

``{folder}/<hex>.part`` grows from one source after the other; where the catalogue knows pieces, what arrived is kept
over a kill, a wrong piece is thrown away, and the next source goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path

from gateway.errors import GatewayError, ImageError, NoRoom
from gateway.images.entry import ImageEntry, Mirror
from gateway.images.published import PublishedImages
from gateway.images.ranges import stream_range
from gateway.urls import UrlOpener

FOLDER = "image-copies"
"""Below the gateway's data folder."""
SPARE = 256 * 1024 * 1024
"""Bytes that stay free on the disk."""
_ORDER = {"alive": 0, "unknown": 1, "dead": 2, "wrong": 3}
_BLOCK = 1024 * 1024

Told = Callable[[int], None]
Converter = Callable[[ImageEntry], Awaitable[Path | None]]
"""Makes an image from one of its sources, once, and returns the file; None where there is no such source."""


class LocalCopies:
    """Whole images on this machine.

    Parameters
    ----------
    folder
        For copies on their way; made when it is needed.
    built
        The images that this gateway built: they need no copy.
    convert
        Makes an image from its source where it is nowhere.
    """

    def __init__(
        self,
        folder: Path,
        opener: UrlOpener,
        built: PublishedImages | None = None,
        convert: Converter | None = None,
    ) -> None:
        self._folder = folder
        self._opener = opener
        self._built = built
        self._convert = convert

    @asynccontextmanager
    async def held(self, entry: ImageEntry, on_bytes: Told | None = None) -> AsyncIterator[Path]:
        """Yield the image's file, whole and right. A copy that was made for this is removed when all went well.

        Raises
        ------
        ImageError
            It can be had nowhere; names each source and why.
        NoRoom
        """
        if entry.digest is None or entry.size is None:
            raise ImageError(f"the image {entry.name} was never read: its digest is not known")
        if (own := await self._own(entry)) is not None:
            yield own
            return
        part = self.part(entry.digest)
        with _alone(part):
            async with self._brought(entry, part, on_bytes) as file:
                yield file

    @asynccontextmanager
    async def _brought(self, entry: ImageEntry, part: Path, on_bytes: Told | None) -> AsyncIterator[Path]:
        if await asyncio.to_thread(_digest_of, part) != entry.digest:
            if (made := await self._made(entry)) is not None:
                yield made
                return
            await self._bring(entry, part, on_bytes)
        yield part  # and where whoever asked is ended, it stays for the next try
        await asyncio.to_thread(part.unlink, missing_ok=True)

    def forget(self, keep: frozenset[str]) -> None:
        """Remove what was left of images but those with these digests. Blocking."""
        names = {f"{digest.removeprefix('sha256:')}.part" for digest in keep}
        with contextlib.suppress(FileNotFoundError):
            for file in self._folder.iterdir():
                if file.suffix == ".part" and file.name not in names:
                    file.unlink(missing_ok=True)

    def source(self, entry: ImageEntry) -> str | None:
        """Say in a word where the image would come from; None: from nowhere. Nothing is asked."""
        if entry.digest is not None:
            built = self._built.by_digest(entry.digest) if self._built is not None else None
            if built is not None or self.part(entry.digest).is_file():
                return "the gateway"
        return next(iter(addresses(entry)), None)

    def part(self, digest: str) -> Path:
        """Return the file that a copy grows in; a whole one is taken as it is."""
        return self._folder / f"{digest.removeprefix('sha256:')}.part"

    async def _own(self, entry: ImageEntry) -> Path | None:
        """Return the file where this gateway built it."""
        assert entry.digest is not None
        found = self._built.by_digest(entry.digest) if self._built is not None else None
        return found.file if found is not None and await _digest(found.file) == entry.digest else None

    async def _made(self, entry: ImageEntry) -> Path | None:
        """Return the file that was made from its source just now, where it is nowhere to be read."""
        if self._convert is None or addresses(entry):
            return None
        made = await self._convert(entry)
        if made is not None and await _digest(made) != entry.digest:
            raise ImageError(f"the image {entry.name} was made from its source anew, and became another file")
        return made

    async def _bring(self, entry: ImageEntry, part: Path, on_bytes: Told | None) -> None:
        assert entry.size is not None
        try:
            await asyncio.to_thread(part.parent.mkdir, parents=True, exist_ok=True, mode=0o700)
            there = await asyncio.to_thread(_right_so_far, entry, part)
            self._need_room(entry, entry.size - there)
            await self._from_each(entry, part, there, on_bytes)
        except OSError as error:
            raise ImageError(f"the image {entry.name} cannot be kept in {part.parent}: {error.strerror}") from None

    def _need_room(self, entry: ImageEntry, size: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < size + SPARE:
            raise NoRoom(
                f"the image {entry.name} needs {size} bytes more, and {free} are free in {self._folder}",
                hint="free some, or let gateway.data be on a larger disk",
            )

    async def _from_each(self, entry: ImageEntry, part: Path, there: int, on_bytes: Told | None) -> None:
        assert entry.size is not None
        blamed: list[str] = []
        for url in addresses(entry):
            try:
                while there < entry.size:
                    there = await self._piece(entry, url, part, there)
                    if on_bytes is not None:
                        on_bytes(there)
            except GatewayError as error:
                blamed.append(error.message)
                there = await asyncio.to_thread(_right_so_far, entry, part)
                continue
            if await _digest(part) == entry.digest:
                return
            blamed.append(f"{url}: its bytes are not those of the image")
            await asyncio.to_thread(os.truncate, part, 0)
            there = 0
        why = "; ".join(blamed) or "the catalogue knows no address of it"
        raise ImageError(f"the image {entry.name} can be had nowhere: {why}")

    async def _piece(self, entry: ImageEntry, url: str, part: Path, offset: int) -> int:
        """Append the next piece, or all that is left where no pieces are known; return what is there then."""
        assert entry.size is not None
        pieces = entry.pieces
        length = entry.size - offset if pieces is None else min(pieces.size, entry.size - offset)
        hasher = hashlib.sha256()
        with await asyncio.to_thread(part.open, "ab") as stream:
            await asyncio.to_thread(stream.truncate, offset)

            def keep(chunk: bytes) -> None:
                hasher.update(chunk)
                stream.write(chunk)

            chunks = stream_range(self._opener, url, offset, length, entry.size)
            async with aclosing(chunks) as arriving:  # type: ignore[type-var]
                async for chunk in arriving:
                    await asyncio.to_thread(keep, chunk)
        if pieces is not None and hasher.hexdigest() != pieces[offset // pieces.size]:
            raise ImageError(f"{url}: piece {offset // pieces.size} of it is not the image's")
        return offset + length


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Keep other processes from the same copy."""
    try:
        part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(part.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ImageError(f"{part.parent} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ImageError("another process copies this image just now", hint="try again when it is done") from None
    finally:
        os.close(descriptor)


def addresses(entry: ImageEntry) -> list[str]:
    """Return the addresses that the image can be read from, the best first."""
    mirrors = sorted(entry.mirrors, key=_rank)
    found = [*(mirror.url for mirror in mirrors), *entry.sources]
    return list(dict.fromkeys(url for url in found if url.startswith(("https://", "http://"))))


def _rank(mirror: Mirror) -> int:
    return _ORDER[mirror.state]


def _right_so_far(entry: ImageEntry, part: Path) -> int:
    """Return how many bytes of a part are the image's, whole pieces only. Blocking."""
    if entry.pieces is None or entry.size is None:
        return 0
    right = 0
    try:
        with part.open("rb") as stream:
            for wanted in entry.pieces:
                piece = stream.read(entry.pieces.size)
                if hashlib.sha256(piece).hexdigest() != wanted:
                    return right
                right += len(piece)
    except FileNotFoundError:
        return 0
    return right


async def _digest(file: Path) -> str | None:
    return await asyncio.to_thread(_digest_of, file)


def _digest_of(file: Path) -> str | None:
    """Return the digest of a file; None where there is none. Blocking."""
    try:
        with file.open("rb") as stream:
            return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    except FileNotFoundError:
        return None
