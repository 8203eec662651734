"""A case's folder: its files, its version, and how it is kept."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.cases.mistakes import CaseInvalid, Mistake
from gateway.model.specification import path_problem

MAX_FILES = 2000
MAX_BYTES = 32 * 1024 * 1024
"""Of all files together: they are kept in the database, once for each version."""
_LEFT_OUT = frozenset({"__pycache__"})


@dataclass(frozen=True)
class CaseFile:
    """One file of a case."""

    content: bytes
    executable: bool = False


Files = Mapping[str, CaseFile]
"""By path inside the folder."""


def version_of(files: Files) -> str:
    """Return the digest of all names, contents and executable bits."""
    listing = [
        [path, files[path].executable, hashlib.sha256(files[path].content).hexdigest()] for path in sorted(files)
    ]
    return "sha256:" + hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def signature(folder: Path) -> tuple[tuple[str, int, int, int, int], ...]:
    """Return what changes when a file below `folder` does, without reading any."""
    found = []
    for path in _walk(folder):
        try:
            seen = path.lstat()
        except OSError:
            continue
        found.append((str(path), seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ino))
        if len(found) > MAX_FILES:
            break
    return tuple(found)


def read_folder(folder: Path) -> dict[str, CaseFile]:
    """Read all files; hidden ones and ``__pycache__`` are left out.

    Raises
    ------
    CaseInvalid
        There is a link, a device or an odd name among them, they are too many or too large, or cannot be read.
    """
    files: dict[str, CaseFile] = {}
    mistakes: list[Mistake] = []
    left = MAX_BYTES
    for number, path in enumerate(_walk(folder)):
        name = os.fsencode(path.relative_to(folder)).decode("utf-8", "replace")
        if number >= MAX_FILES:
            mistakes.append(Mistake("", 0, f"the folder has more than {MAX_FILES} files"))
            break
        if problem := path_problem(name) or ("has a name that is not UTF-8" if "\ufffd" in name else None):
            mistakes.append(Mistake(ascii(name), 0, problem))
            continue
        try:
            found = _read(path, left)
        except OSError as error:
            mistakes.append(Mistake(name, 0, f"cannot be read: {error.strerror}"))
            continue
        if isinstance(found, str):
            mistakes.append(Mistake(name, 0, found))
            continue
        files[name] = found
        left -= len(found.content)
    if mistakes:
        raise CaseInvalid(folder.name, mistakes)
    return files


def _walk(folder: Path) -> list[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        kept = [name for name in folders if not name.startswith(".") and name not in _LEFT_OUT]
        links = [name for name in kept if (Path(place) / name).is_symlink()]
        folders[:] = sorted(name for name in kept if name not in links)
        found += [Path(place) / name for name in sorted([*names, *links]) if not name.startswith(".")]
        if len(found) > MAX_FILES:
            break
    return found


def _read(path: Path, left: int) -> CaseFile | str:
    """Return a regular file, or what is wrong with it. Nothing else is opened: a pipe would never answer."""
    if path.is_symlink():
        return "is a symbolic link: a case's files must lie in its folder"
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        seen = os.fstat(stream.fileno())
        if not stat.S_ISREG(seen.st_mode):
            return "is not a regular file"
        content = stream.read(left + 1)
    if len(content) > left:
        return f"is too large: a case's files may have {MAX_BYTES} bytes together"
    return CaseFile(content, bool(seen.st_mode & 0o100))


def pack(files: Files) -> bytes:
    """Return the files as a compressed tar, the same for the same files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(files):
            entry = tarfile.TarInfo(path)
            entry.size = len(files[path].content)
            entry.mode = 0o755 if files[path].executable else 0o644
            archive.addfile(entry, io.BytesIO(files[path].content))
    return gzip.compress(stream.getvalue(), mtime=0)


def unpack(name: str, content: bytes) -> dict[str, CaseFile]:
    """Return the files that `pack` put together; raises `CaseInvalid` where it is not such a tar."""
    files: dict[str, CaseFile] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for entry in archive:
                stream = archive.extractfile(entry)
                if stream is None or path_problem(entry.name) or entry.size > MAX_BYTES:
                    raise tarfile.TarError
                files[entry.name] = CaseFile(stream.read(), bool(entry.mode & 0o100))
    except (tarfile.TarError, EOFError, OSError, zlib.error):
        raise CaseInvalid(name, [Mistake("", 0, "the version that was kept cannot be read")]) from None
    return files


def write_folder(files: Files, folder: Path) -> None:
    """Write the files below a new folder."""
    for path, file in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.content)
        place.chmod(0o755 if file.executable else 0o644)
