"""Writing outputs to this machine: never outside their folder, going on where an earlier try stopped."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import httpx

from gateway.errors import GatewayError, RangeNotSatisfiable
from gateway.model.job import OutputFile
from gateway.model.specification import path_problem

Send = Callable[[dict[str, str]], contextlib.AbstractContextManager[httpx.Response]]
"""Opens the answer that holds the file's bytes, given further headers."""


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


def fetch(send: Send, file: OutputFile, place: Path) -> None:
    """Fetch the bytes that are missing, check them, and put the file in place.

    Raises
    ------
    GatewayError
        The bytes are not those that the catalogue names.
    httpx.TransportError
        The connection failed; what came so far is kept for the next try.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(place, file)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o666), "r+b") as stream:
        if stream.seek(0, os.SEEK_END) > file.size:
            stream.truncate(0)
        have = stream.seek(0, os.SEEK_END)
        if have < file.size:
            headers = {"Range": f"bytes={have}-"} if have else {}
            try:
                with send(headers) as response:
                    if response.status_code != 206:
                        stream.truncate(0)
                    for chunk in response.iter_raw():
                        stream.write(chunk)
            except RangeNotSatisfiable:
                stream.truncate(0)
        stream.flush()
        problem = _difference(file, stream.fileno())
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
