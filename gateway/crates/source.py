"""A crate as a folder or a zip file, read as what strangers made: bounded, and nothing outside of it."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, Self

from gateway.errors import CrateError
from gateway.model.base import text_problem
from gateway.model.crate import METADATA_FILE, RECORD_FOLDER

MAX_ENTRIES = 200_000
MAX_DIRECTORY = 64 * 1024 * 1024
"""Bytes of a zip's list of entries."""
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1


def parts_of(path: str) -> list[str]:
    """Return the parts of a path inside a crate; raises `CrateError` where it leads out of it."""
    parts = path.split("/")
    if text_problem(path) or "\\" in path or any(part in ("", ".", "..") for part in parts) or len(path) > 4096:
        raise CrateError(f"{path[:200]!a} is not a path inside the crate")
    return parts


class CrateSource(ABC):
    """Where the files of a crate are read. Blocking."""

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def metadata(self, limit: int) -> bytes:
        """Return the metadata file: at the crate's root, or where a gateway keeps it beside a run's outputs."""
        found = self.find(METADATA_FILE, limit)
        if found is None:
            found = self.find(f"{RECORD_FOLDER}/{METADATA_FILE}", limit)
        if found is None:
            raise CrateError(f"there is no {METADATA_FILE}", hint="is that the folder or zip file of an RO-Crate?")
        return found

    def read(self, path: str, limit: int) -> bytes:
        """Return a file of at most `limit` bytes; raises `CrateError` where there is none."""
        found = self.find(path, limit)
        if found is None:
            raise CrateError(f"the crate has no file {path[:200]!a}")
        return found

    @abstractmethod
    def find(self, path: str, limit: int) -> bytes | None:
        """Return a file; None where there is none. Raises `CrateError` where it is too large or no plain file."""

    def close(self) -> None:  # noqa: B027 - a folder has nothing to close
        """Let go of it."""


class FolderSource(CrateSource):
    """A crate in a folder. No link in it is followed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, path: str, limit: int) -> bytes | None:
        """Return a file; None where there is none."""
        *folders, name = parts_of(path)
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in folders:
                inner = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            file = os.open(name, _FILE, dir_fd=descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise CrateError(f"{path[:200]!a} cannot be read: {error.strerror}") from None
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise CrateError(f"{path[:200]!a} is not a plain file")
        with os.fdopen(file, "rb") as stream:
            return _bounded(stream, path, limit)


_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ZipSource(CrateSource):
    """A crate in a zip file, at its root or in its only folder. Nothing is unpacked to disk.

    Raises
    ------
    CrateError
        It is no zip file, or its list of entries is too long.
    """

    def __init__(self, file: Path) -> None:
        self._stream = file.open("rb")
        try:
            _check_directory(self._stream)
            self._zip = zipfile.ZipFile(self._stream)
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            self._stream.close()
            raise CrateError("it is not a zip file that can be read") from None
        except CrateError:
            self._stream.close()
            raise
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._twice: set[str] = set()
        for entry in self._zip.infolist():
            if entry.filename in self._entries:
                self._twice.add(entry.filename)
            self._entries[entry.filename] = entry
        self._root = self._find_root()

    def _find_root(self) -> str:
        tops = {name.partition("/")[0] for name in self._entries}
        for root in ("", f"{tops.pop()}/" if len(tops) == 1 else ""):
            if root + METADATA_FILE in self._entries or f"{root}{RECORD_FOLDER}/{METADATA_FILE}" in self._entries:
                return root
        return ""

    def find(self, path: str, limit: int) -> bytes | None:
        """Return a file; None where there is none."""
        parts_of(path)
        name = self._root + path
        entry = self._entries.get(name)
        if entry is None:
            return None
        if name in self._twice:
            raise CrateError(f"{path[:200]!a} stands twice in the zip file")
        if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
            raise CrateError(f"{path[:200]!a} is encrypted or packed in an unusual way")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.is_dir() or kind not in (0, stat.S_IFREG):
            raise CrateError(f"{path[:200]!a} is not a plain file")
        try:
            with self._zip.open(entry) as stream:
                return _bounded(stream, path, limit)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError):
            raise CrateError(f"{path[:200]!a} is damaged in the zip file") from None

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
        self._stream.close()


def _check_directory(stream: IO[bytes]) -> None:
    """Refuse a zip whose list of entries would take much memory, before it is read."""
    end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]
    if end is None:
        raise zipfile.BadZipFile
    entries, size = end[4], end[5]
    if entries > MAX_ENTRIES or size > MAX_DIRECTORY:
        raise CrateError(f"the zip file has {entries} entries, and {MAX_ENTRIES} are allowed")
    stream.seek(0)


def _bounded(stream: IO[bytes], path: str, limit: int) -> bytes:
    """Read all, but never more than `limit`: whatever sizes a header names."""
    found = stream.read(limit + 1)
    if len(found) > limit:
        raise CrateError(f"{path[:200]!a} has more than {limit} bytes")
    return found


def open_crate(place: Path) -> CrateSource:
    """Open a folder, its metadata file, or a zip file.

    Raises
    ------
    CrateError
        It is none of these.
    """
    if place.is_dir():
        return FolderSource(place)
    if place.name == METADATA_FILE and place.is_file():
        folder = place.absolute().parent
        return FolderSource(folder.parent if folder.name == RECORD_FOLDER else folder)
    if place.is_file():
        return ZipSource(place)
    raise CrateError(f"there is no folder or file {str(place)!r}")
