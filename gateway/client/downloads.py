"""Writing outputs to this machine: never outside their folder, going on where an earlier try stopped."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from gateway.client.flow import TRIES, Emit, Flow, Request, exchange, open_answer, pause, read, silent, through, work
from gateway.errors import GatewayError, RangeNotSatisfiable
from gateway.model.job import OutputFile
from gateway.model.specification import path_problem


@dataclass(frozen=True)
class Fetched:
    """How many bytes of an output are here."""

    file: OutputFile
    received: int


def place_below(folder: Path, path: str) -> Path:
    """Return where `path` goes below `folder`.

    Raises
    ------
    GatewayError
        It would leave the folder, also by way of a symbolic link that stands there.
    """
    if path_problem(path) or path.endswith("/"):
        raise GatewayError(f"{path!r} would be written outside {folder}")
    place = folder
    for part in path.split("/"):
        place = place / part
        if place.is_symlink():
            raise GatewayError(f"{path!r} would be written through the symbolic link {place}")
    return place


def part_of(place: Path, file: OutputFile) -> Path:
    """Return the name of the unfinished file; another version of the same output has another one."""
    version = f"{place.name}\0{file.digest}\0{file.size}\0{file.modified_at}"
    return place.with_name(f".gateway-{hashlib.sha256(version.encode()).hexdigest()[:16]}.part")


def address(file: OutputFile) -> str:
    """Return the path of an output's bytes; the token goes to this gateway only."""
    if not file.url.startswith("/") or file.url.startswith("//"):
        raise GatewayError(f"{file.path}: {file.url!r} is not an address of this gateway")
    return file.url


def download(file: OutputFile, folder: Path) -> Flow[Path]:
    """Fetch one output below `folder`; emit how many bytes of it are there, again and again.

    Raises
    ------
    GatewayError
        The name would leave `folder`, or the bytes are not those that the catalogue names.
    """
    place = place_below(folder.absolute(), file.path)
    path = address(file)
    if (yield from work(lambda: _stands(file, place))):
        yield Emit(file.size)
        return place
    for attempt in range(TRIES):
        try:
            yield from _fetch(path, file, place)
        except httpx.TransportError as error:
            if attempt + 1 == TRIES:
                raise silent() from error
            yield from pause(0.2 * 2**attempt)
        else:
            break
    return place


def _stands(file: OutputFile, place: Path) -> bool:
    """Say whether the very bytes stand there already, by their digest."""
    if not file.digest or not place.is_file() or place.stat().st_size != file.size:
        return False
    with place.open("rb") as stream:
        return _difference(file, stream.fileno()) is None


def _fetch(path: str, file: OutputFile, place: Path) -> Flow[None]:
    """Fetch the bytes that are missing, check them, and put the file in place."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(place, file)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o666), "r+b") as stream:
        if stream.seek(0, os.SEEK_END) > file.size:
            stream.truncate(0)
        have = stream.seek(0, os.SEEK_END)
        if have < file.size:
            query = {"store": file.store} if "?" not in path else {}
            headers = {"Range": f"bytes={have}-"} if have else {}
            try:
                response = yield from open_answer(Request("GET", path, query, headers=headers))
                if response.status_code != 206:
                    stream.truncate(0)
                    have = 0
                while chunk := (yield from read()):
                    stream.write(chunk)
                    have += len(chunk)
                    yield Emit(have)
            except RangeNotSatisfiable:
                stream.truncate(0)
        stream.flush()
        problem = yield from work(lambda: _difference(file, stream.fileno()))
    if problem:
        part.unlink()
        raise GatewayError(f"{file.path}: {problem}", hint="it may have changed meanwhile; try again")
    part.replace(place)


def _difference(file: OutputFile, descriptor: int) -> str | None:
    """Say how the bytes differ from what the catalogue says, or None."""
    size = os.fstat(descriptor).st_size
    if size != file.size:
        return f"{size} bytes came instead of {file.size}"
    if file.digest and file.digest.startswith("sha256:"):
        os.lseek(descriptor, 0, os.SEEK_SET)
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if f"sha256:{found}" != file.digest:
            return "the bytes do not have the digest of the catalogue"
    return None


def download_all(files: Iterable[OutputFile], folder: Path) -> Flow[list[Path]]:
    """Fetch outputs below `folder`, one after the other; emit `Fetched` on the way."""
    places = []
    for file in files:
        places.append((yield from through(download(file, folder), partial(Fetched, file))))
    return places


def content(file: OutputFile) -> Flow[bytes]:
    """Return all bytes of an output."""
    query = {"store": file.store} if "?" not in file.url else {}
    return (yield from exchange(Request("GET", address(file), query))).content


def piece(file: OutputFile, first: int, count: int, etag: str | None) -> Flow[tuple[bytes, str | None]]:
    """Return `count` bytes from `first`, and which version they are of.

    Raises
    ------
    GatewayError
        The output is not the one any more that `etag` names.
    """
    headers = {"Range": f"bytes={first}-{first + count - 1}", "Accept-Encoding": "identity"}
    query = {"store": file.store} if "?" not in file.url else {}
    response = yield from exchange(Request("GET", address(file), query, headers=headers))
    found = response.headers.get("ETag")
    if response.status_code != 206 or (etag is not None and found != etag):
        raise GatewayError(f"{file.path} has changed while it was read", hint="open it again")
    return response.content, found


class OutputReader(io.RawIOBase):
    """An output as a file that is read where it stands, piece by piece, and in which one can seek.

    Parameters
    ----------
    ask
        Carries out a flow.
    """

    def __init__(self, file: OutputFile, ask: Callable[[Flow[tuple[bytes, str | None]]], tuple[bytes, str | None]]):
        self._file, self._ask = file, ask
        self._at = 0
        self._etag: str | None = None
        self.name = file.path

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """One can go to any place in it."""
        return True

    def tell(self) -> int:
        """Return the place that is read next."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise ValueError("before the beginning of the file")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Read on into a buffer."""
        count = min(len(buffer), self._file.size - self._at)
        if count <= 0:
            return 0
        data, self._etag = self._ask(piece(self._file, self._at, count, self._etag))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
