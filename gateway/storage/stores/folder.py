"""A folder on this machine, read and written without ever following a symbolic link below it. Blocking."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import NotFound, StoreError
from gateway.storage.content_types import guess
from gateway.storage.names import from_disk, to_disk
from gateway.storage.stores.base import StoredObject

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class Folder:
    """A root that the administrator chose (it may be a link itself), and what is below it.

    Paths are in rclone's standard names, relative and clean (`gateway.storage.names`).
    """

    root: Path

    def make(self, path: str) -> None:
        """Make a folder and those above it."""
        with self._opened(path, create=True):
            pass

    def walk(self, path: str) -> Iterator[StoredObject]:
        """Yield the regular files below `path`, by paths relative to it."""
        waiting = [b""]
        while waiting:
            below = waiting.pop()
            try:
                with self._opened(path, below) as descriptor, os.scandir(descriptor) as entries:
                    for entry in entries:
                        name = os.path.join(below, os.fsencode(entry.name))  # noqa: PTH118
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(name)
                        elif entry.is_file(follow_symlinks=False):
                            with contextlib.suppress(FileNotFoundError):
                                yield _stored(from_disk(name), entry.stat(follow_symlinks=False))
            except NotFound:
                continue

    def stat(self, path: str) -> StoredObject | None:
        """Return one regular file; `path` in the answer is as given."""
        folder, name = _split(path)
        try:
            with self._opened(folder) as descriptor:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except (NotFound, FileNotFoundError, NotADirectoryError):
            return None
        return _stored(path, found) if stat.S_ISREG(found.st_mode) else None

    def open(self, path: str) -> int:
        """Return a descriptor for reading a regular file.

        Raises
        ------
        NotFound
            There is none, or it is a link, a device …
        """
        folder, name = _split(path)
        with self._opened(folder) as parent:
            try:
                descriptor = os.open(name, _FILE, dir_fd=parent)
            except OSError:
                raise NotFound(f"there is no file {path!a}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotFound(f"there is no file {path!a}")
        return descriptor

    def write(self, path: str, data: bytes) -> None:
        """Put a file in one step: readers see the old one or the new one."""
        folder, name = _split(path)
        part = f".{secrets.token_hex(8)}.part"
        with self._opened(folder, create=True) as parent:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(part, flags, 0o666, dir_fd=parent)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.rename(part, name, src_dir_fd=parent, dst_dir_fd=parent)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part, dir_fd=parent)
                raise

    def remove(self, path: str) -> None:
        """Remove a folder and everything below it; a link in its place is removed itself."""
        folder, name = _split(path)
        with contextlib.suppress(NotFound, FileNotFoundError), self._opened(folder) as parent:
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                shutil.rmtree(os.fsdecode(name), dir_fd=parent)
            else:
                os.unlink(name, dir_fd=parent)

    def unlink(self, path: str) -> None:
        """Remove one regular file; nothing where there is none."""
        folder, name = _split(path)
        with contextlib.suppress(NotFound, FileNotFoundError), self._opened(folder) as parent:
            if stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=parent)

    @contextlib.contextmanager
    def _opened(self, path: str, below: bytes = b"", *, create: bool = False) -> Iterator[int]:
        """Open a folder name by name, each without following a link.

        Raises
        ------
        NotFound
            It is not there.
        StoreError
            A link or a file is in the way.
        """
        if create:
            self.root.mkdir(parents=True, exist_ok=True)
        names = [name for text in (to_disk(path), below) for name in text.split(b"/") if name]
        if any(name in (b".", b"..") for name in names):
            raise StoreError(f"{path!a} leads out of the store's folder")
        try:
            descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(f"there is no folder {self.root}") from None
        try:
            for name in names:
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=descriptor)
                following = self._step(descriptor, name, path)
                os.close(descriptor)
                descriptor = following
            yield descriptor
        finally:
            os.close(descriptor)

    @staticmethod
    def _step(descriptor: int, name: bytes, path: str) -> int:
        try:
            return os.open(name, _FOLDER, dir_fd=descriptor)
        except FileNotFoundError:
            raise NotFound(f"there is no folder {path!a}") from None
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise StoreError(f"{path!a}: a link or a file stands where a folder should be") from None


def _split(path: str) -> tuple[str, bytes]:
    folder, _, name = path.rpartition("/")
    return folder, to_disk(name)


def _stored(path: str, found: os.stat_result) -> StoredObject:
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return StoredObject(path, found.st_size, modified, guess(path))
