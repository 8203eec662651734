"""The tar stream of staging, made while it is read: no file is copied, and memory does not grow with their sizes."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PIECE = 1024 * 1024


@dataclass(frozen=True)
class TarMember:
    """A file, or a folder where `content` is None; `content` may be a file of the gateway that holds the bytes."""

    name: str
    content: bytes | Path | None
    mode: int

    @property
    def size(self) -> int:
        """Bytes; raises `OSError` where its file cannot be looked at."""
        if isinstance(self.content, Path):
            return self.content.stat().st_size
        return len(self.content or b"")


class TarStream:
    """Something to read a tar from.

    Attributes
    ----------
    sizes
        Bytes of each member, in their order, as they are when this is made.
    problem
        Why the stream ended early; its reader then finds it torn.
    """

    def __init__(self, members: Sequence[TarMember]) -> None:
        self._members = members
        self.sizes = [member.size for member in members]
        self.problem: str | None = None
        self._pieces = self._written()
        self._waiting = bytearray()

    @property
    def size(self) -> int:
        """Bytes of the stream, about."""
        return sum(self.sizes) + 2 * tarfile.BLOCKSIZE * (len(self.sizes) + 1)

    def read(self, count: int = -1) -> bytes:
        """Return the next bytes, at most `count`; none at the end. Blocking."""
        while count < 0 or len(self._waiting) < count:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._waiting += piece
        count = len(self._waiting) if count < 0 else count
        found = bytes(self._waiting[:count])
        del self._waiting[:count]
        return found

    def close(self) -> None:
        """Let go of the file that is being read."""
        with suppress(ValueError):  # a thread that was given up still reads
            self._pieces.close()

    def _written(self) -> Generator[bytes, None, None]:
        now = int(time.time())
        for member, size in zip(self._members, self.sizes, strict=True):
            info = tarfile.TarInfo(member.name)
            info.mode, info.mtime, info.size = member.mode, now, size
            if member.content is None:
                info.type = tarfile.DIRTYPE
            # The GNU format carries names as they are; others name an encoding that the target may not have.
            yield info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
            if isinstance(member.content, Path):
                left = size
                try:
                    with member.content.open("rb") as source:
                        while left and (piece := source.read(min(left, PIECE))):
                            left -= len(piece)
                            yield piece
                except OSError as error:
                    self.problem = f"a file of the gateway cannot be read: {error.strerror}"
                if left:
                    self.problem = self.problem or "a file of the gateway became shorter while it was read"
                    return
            elif member.content:
                yield member.content
            yield bytes(-size % tarfile.BLOCKSIZE)
        yield bytes(tarfile.RECORDSIZE)
