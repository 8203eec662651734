"""Zip and tar, written piece by piece: nothing is sought back to, and memory does not grow with the files.

The list of a zip's entries, which stands at its end, waits in a file on disk.
"""

from __future__ import annotations

import calendar
import struct
import tarfile
import tempfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, cast

_UTF8 = 0x800
_SIZE_FOLLOWS = 0x8
_STORED = 0
_VERSION = 45
"""Of the zip format: the first with large files."""
_UNIX = 3 << 8
_MODE = 0o100644 << 16
_LARGE = 0xFFFFFFFF
_IN_MEMORY = 1024 * 1024


class ArchiveWriter(ABC):
    """Makes an archive of one file after the other. Each method returns the bytes to send next.

    A file is `begin`, `data` as often as needed, `end`; `finish` is the end of the archive.
    """

    media_type: str
    suffix: str

    @abstractmethod
    def begin(self, name: str, size: int, modified_at: datetime | None) -> bytes:
        """Begin a file. `size` is what is expected."""

    @abstractmethod
    def data(self, piece: bytes) -> bytes:
        """Add bytes to the file."""

    @abstractmethod
    def end(self) -> bytes:
        """End the file."""

    @abstractmethod
    def finish(self) -> Iterator[bytes]:
        """End the archive."""

    def close(self) -> None:  # noqa: B027 - most have nothing to end
        """Let go of everything."""


class TarWriter(ArchiveWriter):
    """POSIX tar (pax). The size stands before the bytes: what is more is cut off, what is missing is zeros."""

    media_type, suffix = "application/x-tar", ".tar"

    def __init__(self) -> None:
        self._left = 0
        self._padding = 0

    def begin(self, name: str, size: int, modified_at: datetime | None) -> bytes:
        """Begin a file of `size` bytes."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        info.mtime = int(modified_at.timestamp()) if modified_at is not None else 0
        self._left, self._padding = size, -size % tarfile.BLOCKSIZE
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def data(self, piece: bytes) -> bytes:
        """Add bytes, as far as the announced size goes."""
        kept = piece[: self._left]
        self._left -= len(kept)
        return kept

    @property
    def missing(self) -> int:
        """Bytes of the file that have not come; `fill` stands in for them."""
        return self._left

    def fill(self) -> Iterator[bytes]:
        """Yield zeros for what has not come."""
        while self._left:
            piece = bytes(min(self._left, _IN_MEMORY))
            self._left -= len(piece)
            yield piece

    def end(self) -> bytes:
        """End the file."""
        return bytes(self._padding)

    def finish(self) -> Iterator[bytes]:
        """End the archive."""
        yield bytes(2 * tarfile.BLOCKSIZE)


class ZipWriter(ArchiveWriter):
    """Zip with large files allowed (ZIP64), without compression. Sizes stand behind the bytes: they are always true."""

    media_type, suffix = "application/zip", ".zip"

    def __init__(self) -> None:
        self._entries = cast(IO[bytes], tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - see close
        self._offset = 0
        self._count = 0
        self._name = b""
        self._stamp = (0, 0)
        self._start = 0
        self._size = 0
        self._crc = 0

    def begin(self, name: str, size: int, modified_at: datetime | None) -> bytes:
        """Begin a file."""
        self._name, self._stamp = name.encode(), _dos_time(modified_at)
        self._start, self._size, self._crc = self._offset, 0, 0
        extra = struct.pack("<HHQQ", 1, 16, 0, 0)
        flags = _UTF8 | _SIZE_FOLLOWS
        fixed = (_VERSION, flags, _STORED, *self._stamp, 0, _LARGE, _LARGE, len(self._name), len(extra))
        return self._sent(b"PK\3\4" + struct.pack("<HHHHHIIIHH", *fixed) + self._name + extra)

    def data(self, piece: bytes) -> bytes:
        """Add bytes."""
        self._size += len(piece)
        self._crc = zlib.crc32(piece, self._crc)
        return self._sent(piece)

    def end(self) -> bytes:
        """End the file: its sum and size."""
        extra = struct.pack("<HHQQQ", 1, 24, self._size, self._size, self._start)
        flags = _UTF8 | _SIZE_FOLLOWS
        fixed = (_UNIX | _VERSION, _VERSION, flags, _STORED, *self._stamp, self._crc, _LARGE, _LARGE)
        tail = (len(self._name), len(extra), 0, 0, 0, _MODE, _LARGE)
        self._entries.write(b"PK\1\2" + struct.pack("<HHHHHHIIIHHHHHII", *fixed, *tail) + self._name + extra)
        self._count += 1
        return self._sent(b"PK\7\10" + struct.pack("<IQQ", self._crc, self._size, self._size))

    def finish(self) -> Iterator[bytes]:
        """List all entries."""
        start, length = self._offset, self._entries.tell()
        self._entries.seek(0)
        while piece := self._entries.read(_IN_MEMORY):
            yield self._sent(piece)
        large = (44, _UNIX | _VERSION, _VERSION, 0, 0, self._count, self._count, length, start)
        yield b"PK\6\6" + struct.pack("<QHHIIQQQQ", *large) + b"PK\6\7" + struct.pack("<IQI", 0, start + length, 1)
        count = min(self._count, 0xFFFF)
        small = (0, 0, count, count, min(length, _LARGE), min(start, _LARGE), 0)
        yield b"PK\5\6" + struct.pack("<HHHHIIH", *small)

    def close(self) -> None:
        """Remove the list."""
        self._entries.close()

    def _sent(self, piece: bytes) -> bytes:
        self._offset += len(piece)
        return piece


def _dos_time(moment: datetime | None) -> tuple[int, int]:
    """Return time and date as zip writes them: in steps of two seconds, from 1980 to 2107."""
    at = (moment or datetime(1980, 1, 1, tzinfo=UTC)).astimezone(UTC)
    year = min(max(at.year, 1980), 2107)
    day = min(at.day, calendar.monthrange(year, at.month)[1])
    return at.hour << 11 | at.minute << 5 | at.second // 2, (year - 1980) << 9 | at.month << 5 | day
