"""The files behind uploads: written piece by piece, proved, and published by a rename."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from gateway.errors import Conflict, NoRoom

T = TypeVar("T")

CHUNK = 1024 * 1024
SPARE = 512 * 1024 * 1024
"""Bytes of the disk that uploads leave free."""


def whole_file(folder: Path, owner: str, digest: str) -> Path:
    """Return where a complete upload stands."""
    whose = hashlib.sha256(owner.encode()).hexdigest()[:32]
    return folder / whose / digest.removeprefix("sha256:")


def part_file(folder: Path, upload_id: str) -> Path:
    """Return where an upload stands while it is coming in."""
    return folder / f"{upload_id}.part"


def check_room(folder: Path, size: int) -> None:
    """Raise `NoRoom` unless the disk takes `size` bytes more and has some left."""
    free = shutil.disk_usage(folder).free
    if free - size < SPARE:
        raise NoRoom(f"the gateway's disk has {max(0, free - SPARE)} bytes left for uploads, and {size} are needed")


async def in_thread(function: Callable[[], T]) -> T:
    """Run `function` in a thread and wait for it even when cancelled: what it works on may be closed only then."""
    task = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class PartFile:
    """An upload that is being written, by one request at a time: ``with PartFile(path) as part``.

    Raises
    ------
    Conflict
        Another request writes it now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.received = 0
        self._hash: hashlib._Hash | None = None
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Open and lock it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise Conflict("another request sends bytes of this upload now: try again when it has ended") from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; the lock ends with that."""
        os.close(self._descriptor)

    def begin(self, offset: int) -> None:
        """Go on after so many bytes; what stands behind them (of a write that was cut off) is thrown away."""
        os.ftruncate(self._descriptor, offset)
        self.received = offset
        self._hash = hashlib.sha256() if offset == 0 else None

    def write(self, data: bytes) -> None:
        """Add bytes. Blocking; raises `NoRoom` where the disk is full."""
        with disk_told():
            done = 0
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], self.received + done)
        self.received += len(data)
        if self._hash is not None:
            self._hash.update(data)

    def settle(self) -> None:
        """Make what was written outlive a crash. Blocking."""
        with disk_told():
            os.fsync(self._descriptor)

    def digest(self) -> str:
        """Return the digest of everything. Blocking: reads the file again where it came in several requests."""
        if self._hash is None:
            self._hash = hashlib.sha256()
            at = 0
            while piece := os.pread(self._descriptor, CHUNK, at):
                self._hash.update(piece)
                at += len(piece)
        return "sha256:" + self._hash.hexdigest()

    def publish(self, place: Path) -> None:
        """Move it where complete uploads stand. Blocking."""
        with disk_told():
            place.parent.mkdir(mode=0o700, exist_ok=True)
            self.path.replace(place)

    def remove(self) -> None:
        """Remove it. Blocking."""
        with suppress(FileNotFoundError):
            self.path.unlink()


@contextmanager
def disk_told() -> Iterator[None]:
    """Turn a full disk into `NoRoom`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoRoom(f"the upload cannot be kept: {error.strerror}") from None
        raise
