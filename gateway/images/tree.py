"""The file tree of an image, as a tar stream on its way from Debian's packages into the image."""

from __future__ import annotations

import io
import re
import stat
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO

# What no container needs: it is mounted by the runtime, belongs to the package manager or to the machine that
# built the image, or is different in every build.
NEVER_KEPT = (
    "/dev/*",
    "/proc/*",
    "/run/*",
    "/sys/*",
    "/tmp/*",  # noqa: S108
    "/boot",
    "/etc/.pwd.lock",
    "/etc/apt",
    "/etc/dpkg",
    "/etc/*-",
    "/root/*",
    "/usr/share/bash-completion",
    "/usr/share/doc/*/*",
    "/usr/share/info",
    "/usr/share/lintian",
    "/usr/share/locale",
    "/usr/share/man",
    "/var/backups/*",
    "/var/cache/*",
    "/var/lib/apt",
    "/var/lib/dpkg/*-old",
    "/var/lib/dpkg/info",
    "/var/lib/dpkg/lock*",
    "/var/lib/dpkg/triggers",
    "/var/log/*",
    "/**/__pycache__",
)
KEPT = re.compile(r"/usr/share/doc/[^/]+/copyright")  # licences ask for it
END_MARK = 1024  # zero bytes at the end of every tar stream
# Mount points and files that container runtimes bind over.
FOLDERS = ("/dev", "/home", "/job", "/mnt", "/proc", "/root", "/run", "/sys", "/tmp", "/var/tmp")  # noqa: S108
WORLD_WRITABLE = ("/tmp", "/var/tmp")  # noqa: S108
PLACEHOLDERS = {
    "/etc/hostname": b"",
    "/etc/hosts": b"127.0.0.1 localhost\n::1 localhost\n",
    "/etc/localtime": b"",
    "/etc/machine-id": b"",
    "/etc/resolv.conf": b"",
}


@dataclass(frozen=True)
class Plan:
    """What becomes of a file tree on its way.

    Parameters
    ----------
    remove
        Patterns of absolute paths; a folder goes with all below it.
    keep
        Patterns of paths that these patterns spare.
    files
        Place -> (content, mode): added, in place of what was there.
    links
        Place -> target of a symbolic link.
    """

    remove: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def rewrite_tree(source: IO[bytes], target: IO[bytes], plan: Plan) -> None:
    """Copy a tar stream from `source` to `target`, following the plan, and close both, also on failure.

    Raises
    ------
    tarfile.TarError, OSError
        The stream is cut off or not a tar stream, or a side was closed.
    """
    added = {place: (content, 0o644) for place, content in PLACEHOLDERS.items()} | plan.files
    removed = _Removed(NEVER_KEPT, plan.remove, plan.keep, {*added, *plan.links})
    seen: set[str] = set()
    watched = _Watched(source)
    with (
        source,
        target,
        tarfile.open(fileobj=watched, mode="r|") as reading,
        tarfile.open(fileobj=target, mode="w|", format=tarfile.GNU_FORMAT) as writing,
    ):
        for member in reading:
            place = "/" + member.name.removeprefix("./").strip("/")
            if place in {"/", "/."} or removed(place) or not _portable(member):
                continue
            if member.islnk() and removed("/" + member.linkname.removeprefix("./")):
                raise tarfile.TarError(f"{place} is a hard link to a file that the recipe removes")
            seen.add(place)
            content = reading.extractfile(member) if member.isreg() else None
            writing.addfile(_prepared(member, place), content)
        # To its very end: the sender must not find the pipe closed, and what was cut off lacks the end mark.
        while watched.read(1 << 16):
            pass
        if watched.tail.strip(b"\0") or len(watched.tail) < END_MARK:
            raise tarfile.ReadError("the stream of packages was cut off")
        _add(writing, seen, added, plan.links)


class _Watched(io.RawIOBase):
    """A stream that remembers its last bytes."""

    tail = b""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.tail = (self.tail + data)[-END_MARK:]
        return data


def _add(writing: tarfile.TarFile, seen: set[str], files: dict[str, tuple[bytes, int]], links: dict[str, str]) -> None:
    wanted = {parent for place in (*files, *links) for parent in _parents(place)} | set(FOLDERS)
    for place in sorted(wanted - seen):
        folder = _entry(place, tarfile.DIRTYPE, 0o1777 if place in WORLD_WRITABLE else 0o755)
        writing.addfile(folder)
    for place, (content, mode) in sorted(files.items()):
        entry = _entry(place, tarfile.REGTYPE, mode)
        entry.size = len(content)
        writing.addfile(entry, io.BytesIO(content))
    for place, points_at in sorted(links.items()):
        entry = _entry(place, tarfile.SYMTYPE, 0o777)
        entry.linkname = points_at
        writing.addfile(entry)


def _entry(place: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(place.lstrip("/"))
    entry.type, entry.mode = kind, mode
    return entry


def _portable(member: tarfile.TarInfo) -> bool:
    """Device nodes and pipes cannot be unpacked by ordinary users."""
    return member.isfile() or member.isdir() or member.issym() or member.islnk()


def _prepared(member: tarfile.TarInfo, place: str) -> tarfile.TarInfo:
    """Everyone may read the image, and no program in it raises rights."""
    member.name = place.lstrip("/")
    if member.islnk():
        member.linkname = member.linkname.removeprefix("./")
    elif member.isdir():
        member.mode = 0o1777 if member.mode & stat.S_ISVTX else (member.mode & 0o777) | 0o755
    else:
        member.mode = (member.mode & 0o777) | 0o444
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.pax_headers = {}
    return member


def _parents(place: str) -> list[str]:
    parts = place.strip("/").split("/")[:-1]
    return ["/" + "/".join(parts[: length + 1]) for length in range(len(parts))]


class _Removed:
    """Says of a path whether it, or a folder above it, is left out."""

    def __init__(
        self, always: Iterable[str], patterns: Iterable[str], spared: Iterable[str], replaced: set[str]
    ) -> None:
        self._always, self._pattern, self._spared = (_any_of(given) for given in (always, patterns, spared))
        self._known = {"": False, "/": False} | dict.fromkeys(replaced, True)

    def __call__(self, place: str) -> bool:
        known = self._known.get(place)
        if known is None:
            known = self._known[place] = self(place.rpartition("/")[0]) or self._matches(place)
        return known

    def _matches(self, place: str) -> bool:
        if KEPT.fullmatch(place):
            return False
        return bool(
            self._always.fullmatch(place) or (self._pattern.fullmatch(place) and not self._spared.fullmatch(place))
        )


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Compile patterns to one expression; none of them match nothing."""
    return re.compile("|".join(_regular_expression(pattern) for pattern in patterns) or r"(?!)")


def _regular_expression(pattern: str) -> str:
    wild = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*|\?)", pattern))
