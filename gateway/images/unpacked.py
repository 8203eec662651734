"""Publishes an image unpacked, for a CVMFS or shared-folder publisher: a folder, its lists, and a link by its name.

``<hex>/`` with ``<hex>.list`` is what `pull.sh` makes and uses; ``<hex>.sha256`` is a list that ``sha256sum --check``
reads; ``<tool>/<version>`` leads to the folder, and comes last. Each appears whole, by rename.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway import templates
from gateway.errors import ImageError, NoRoom
from gateway.images.entry import ImageEntry

_UNPACK = """
trap 'gw_stop=yes' TERM INT HUP
pull_path=$2 pull_digest=$3
if pull_unpack "$1" "$2"; then printf '%s\\n' "$pull_folder"; exit; fi
printf '%s\\n' "$pull_reason $pull_message" >&2
exit 1
"""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_GRACE = 30.0
"""Seconds that unpacking may take to end itself when it is told to."""


@dataclass(frozen=True)
class UnpackedImage:
    """A published folder.

    Attributes
    ----------
    files, bytes
        Regular files in it.
    link
        What leads to it by the image's name; None where it has none.
    """

    folder: Path
    checksums: Path
    files: int
    bytes: int
    link: Path | None


async def publish_unpacked(entry: ImageEntry, file: Path, folder: Path) -> UnpackedImage:
    """Unpack an image below `folder`; what is there already and whole stays.

    Parameters
    ----------
    file
        The whole image.

    Raises
    ------
    ImageError, NoRoom
        It cannot be unpacked, or not be published there.
    """
    assert entry.digest is not None
    tree = Path(await _unpack(entry.digest, file, folder))
    if tree.name != entry.digest.removeprefix("sha256:"):
        raise ImageError(
            f"{folder} can be changed by others, so that nobody could rely on what is published there",
            hint=f"chmod go-w {folder}, or choose a folder that only the publisher can write",
        )
    try:
        checksums, files, size = await asyncio.to_thread(_summed, tree)
        link = _linked(folder, entry.names[0], tree) if entry.names else None
    except OSError as error:
        raise ImageError(f"the image {entry.name} cannot be published in {folder}: {error.strerror}") from None
    return UnpackedImage(tree, checksums, files, size, link)


async def _unpack(digest: str, file: Path, folder: Path) -> str:
    script = f"set -u\nGW_INLINED=1\n{templates.puller()}\n{_UNPACK}"
    process = await asyncio.create_subprocess_exec(
        "/bin/bash",
        "--noprofile",
        "--norc",
        "-c",
        'eval "$(cat)"',
        "unpack",
        str(folder),
        str(file),
        digest,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said, problem = await process.communicate(script.encode())
    except asyncio.CancelledError:
        await _ended(process)
        raise
    if process.returncode == 0:
        return os.fsdecode(said).rstrip("\n")
    reason, _, words = problem.decode(errors="replace").strip().rpartition("\n")[2].partition(" ")
    error = NoRoom if reason == "no_space" else ImageError
    raise error(words or "the image cannot be unpacked")


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End what was asked to unpack, the programs that it runs with it."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_GRACE):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _summed(tree: Path) -> tuple[Path, int, int]:
    """Write the list of checksums, unless there is one of the tree as it is; return it, files and bytes. Blocking."""
    listed, checksums = tree.with_name(f"{tree.name}.list"), tree.with_name(f"{tree.name}.sha256")
    files = size = 0
    fresh = checksums.is_file() and checksums.stat().st_mtime_ns >= listed.stat().st_mtime_ns
    draft = checksums.with_name(f"{checksums.name}.{secrets.token_hex(4)}.part")
    try:
        with draft.open("wb") as stream:
            for path, length in _files(tree):
                files, size = files + 1, size + length
                if not fresh:
                    stream.write(_line(tree, path))
            stream.flush()
            os.fsync(stream.fileno())
        if not fresh:
            draft.replace(checksums)
    finally:
        draft.unlink(missing_ok=True)
    return checksums, files, size


def _files(tree: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the regular files of a tree, in byte order of folders and names; links are not followed."""
    root = os.fsencode(tree)
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)  # noqa: PTH118
            found = os.lstat(path)
            if stat.S_ISREG(found.st_mode):
                yield os.path.relpath(path, root), found.st_size


def _line(tree: Path, path: bytes) -> bytes:
    """Return a file's line as sha256sum writes it: names with odd characters are escaped, and the line says so."""
    descriptor = os.open(os.path.join(os.fsencode(tree), path), _FILE)  # noqa: PTH118
    with os.fdopen(descriptor, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest().encode()
    shown = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if shown != path else b"") + digest + b"  ./" + shown + b"\n"


def _linked(folder: Path, name: str, tree: Path) -> Path:
    """Let ``<tool>/<version>`` lead to the tree, in one step."""
    link = folder / name
    link.parent.mkdir(exist_ok=True)
    draft = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    draft.symlink_to(Path("..") / tree.name)
    try:
        draft.replace(link)
    finally:
        draft.unlink(missing_ok=True)
    return link
