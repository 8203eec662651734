"""The layers of an OCI image, put on top of each other: a tree that exists only here, written as one tar stream.

Nothing is unpacked on this machine. Names, links and whiteouts of strangers are resolved within that tree, so that none
can lead out of it. Two passes over the layers: the first learns what is left of each, the second copies just that.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from gateway.errors import ImageError, MissingProgram
from gateway.images.tree import FOLDERS, PLACEHOLDERS, WORLD_WRITABLE

MAX_ENTRIES = 3_000_000
MAX_UNPACKED = 200 * 1024**3
"""Bytes of all layers together, unpacked."""
MAX_DEPTH = 256
MAX_PART = 255
"""Bytes of one part of a name."""
MAX_LINKS = 40
"""Symbolic links on the way to one name."""
MAX_HEADER = 1024 * 1024
"""Bytes of a name or of attributes in a tar header."""
WHITEOUT, OPAQUE, META = ".wh.", ".wh..wh..opq", ".wh..wh."
_EXTENDED = frozenset({tarfile.XHDTYPE, tarfile.XGLTYPE, b"X", tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK})
_LOSES = b"S"
"""GNU's sparse files: no registry's client makes them."""

Source = tuple[int, int]
"""Where a file's bytes are: number of the layer, and of the member in it."""


class Entry:
    """What a name of the tree means. A folder has `children`; a link its `target`; a file its `source`."""

    __slots__ = ("children", "content", "layer", "mode", "source", "target")

    def __init__(self, layer: int, mode: int = 0o755) -> None:
        self.layer, self.mode = layer, mode
        self.children: dict[str, Entry] | None = None
        self.target: str | None = None
        self.source: Source | None = None
        self.content: bytes | None = None

    @classmethod
    def folder(cls, layer: int, mode: int = 0o755) -> Self:
        """Return an empty folder."""
        made = cls(layer, mode)
        made.children = {}
        return made


class Tree:
    """All layers so far. Entries of one layer never hide others of the same layer, in whatever order they come."""

    def __init__(self) -> None:
        self.root = Entry.folder(-1)
        self.entries = 0

    def add(self, layer: int, number: int, member: tarfile.TarInfo) -> None:
        """Put a member of a layer in its place.

        Raises
        ------
        ImageError
            Its name leads out of the image, or a hard link leads nowhere.
        """
        parts = _parts(member.name)
        if any(part.startswith(META) and part != OPAQUE for part in parts):
            return  # records of the file system that made the layer
        if not parts:
            self.root.mode = member.mode
            return
        *above, name = parts
        if name.startswith(WHITEOUT):
            self._white_out(layer, above, name)
            return
        entry = self._entry(layer, number, member)
        if entry is None:
            return
        self._count()
        children = self._children(above, layer)
        before = children.get(name)
        if entry.children is not None and before is not None and before.children is not None:
            before.layer, before.mode = layer, entry.mode
        else:
            children[name] = entry

    def _count(self) -> None:
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise ImageError(f"the image has more than {MAX_ENTRIES} files")

    def _entry(self, layer: int, number: int, member: tarfile.TarInfo) -> Entry | None:
        """Return what a member is; None for devices and pipes, which ordinary users cannot have."""
        if member.isdir():
            return Entry.folder(layer, member.mode)
        made = Entry(layer, member.mode)
        if member.issym():
            made.target = member.linkname
        elif member.islnk():
            first = self.find(_parts(member.linkname))
            if first is None or first.children is not None:
                raise ImageError(f"the layers have a hard link to what is not there: {member.name[:200]!a}")
            made.mode, made.target, made.source, made.content = first.mode, first.target, first.source, first.content
        elif member.isreg():
            made.source = (layer, number)
        else:
            return None
        return made

    def _white_out(self, layer: int, above: list[str], name: str) -> None:
        """Remove what lower layers have of a name, or of a whole folder."""
        if (folder := self._existing(above)) is None or folder.children is None:
            return
        if name == OPAQUE:
            _prune(folder, layer)
            return
        gone = name.removeprefix(WHITEOUT)
        if gone in {"", ".", ".."}:
            raise ImageError("the layers have a whiteout of nothing")
        entry = folder.children.get(gone)
        if entry is not None and _prune(entry, layer):
            del folder.children[gone]

    def put(self, path: str, content: bytes, *, replace_dangling: bool = False) -> None:
        """Add a file where nothing has that name (or only a link that leads nowhere)."""
        *above, name = _parts(path)
        children = self._children(above, -1)
        before = children.get(name)
        dangling = before is not None and before.target is not None and self.find([*above, name], follow=True) is None
        if before is None or (replace_dangling and dangling):
            children[name] = Entry(-1, 0o644)
            children[name].content = content

    def find(self, parts: Sequence[str], *, follow: bool = False) -> Entry | None:
        """Return what a path means, None where nothing; `follow`: a link at its end, too."""
        if not parts:
            return self.root
        if follow:
            return self._existing(parts)
        folder = self._existing(parts[:-1])
        return folder.children.get(parts[-1]) if folder is not None and folder.children is not None else None

    def _existing(self, parts: Sequence[str]) -> Entry | None:
        return self._walk(list(parts), None)

    def _children(self, parts: Sequence[str], layer: int) -> dict[str, Entry]:
        """Return what is in a folder; make it where it is not there."""
        folder = self._walk(list(parts), layer)
        assert folder is not None
        assert folder.children is not None
        return folder.children

    def _walk(self, parts: list[str], layer: int | None) -> Entry | None:
        """Follow a path, also over links within the tree; with `layer`, folders are made and files replaced."""
        way, left, links = [self.root], parts[::-1], 0
        while left:
            part = left.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                way = way[:-1] or way
                continue
            here = way[-1]
            assert here.children is not None
            entry = here.children.get(part)
            if entry is not None and entry.target is not None:
                links += 1
                if links > MAX_LINKS:
                    raise ImageError("the layers have links that lead in a circle")
                way = [self.root] if entry.target.startswith("/") else way
                left += entry.target.split("/")[::-1]
                continue
            if entry is None or (entry.children is None and (left or layer is not None)):
                if layer is None:
                    return None
                self._count()
                entry = here.children[part] = Entry.folder(layer)
            if entry.children is None:
                return entry
            way.append(entry)
            if len(way) > MAX_DEPTH:
                raise ImageError(f"the layers have folders in folders, more than {MAX_DEPTH}")
        return way[-1]

    def files(self) -> Iterator[tuple[str, Entry]]:
        """Yield every path with its entry: folders before what is in them, names in order."""
        stack = [("", self.root)]
        while stack:
            path, entry = stack.pop()
            if path:
                yield path, entry
            for name in sorted(entry.children or (), reverse=True):
                assert entry.children is not None
                stack.append((f"{path}/{name}" if path else name, entry.children[name]))


def _prune(entry: Entry, layer: int) -> bool:
    """Remove what lower layers put below an entry; return whether the entry itself is theirs, and empty."""
    for name, child in list((entry.children or {}).items()):
        if _prune(child, layer):
            assert entry.children is not None
            del entry.children[name]
    return entry.layer < layer and not entry.children


def _parts(name: str) -> list[str]:
    """Return the parts of a member's name; raises `ImageError` where it leads out of the image."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise ImageError(f"the layers have a name that leads out of the image: {name[:200]!a}")
    if len(parts) >= MAX_DEPTH:
        raise ImageError(f"the layers have folders in folders, more than {MAX_DEPTH}")
    if len(name) > 63 and any(len(part.encode("utf-8", "surrogateescape")) > MAX_PART for part in parts):
        raise ImageError(f"the layers have a name that no file system takes: {name[:200]!a}…")
    return parts


class _Member(tarfile.TarInfo):
    """A member whose header is refused before it fills the memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        made = super().frombuf(buf, encoding, errors)
        if made.type == _LOSES or (made.type in _EXTENDED and made.size > MAX_HEADER):
            raise tarfile.ReadError("a header of it is too large, or of a kind that is not taken")
        return made


@dataclass
class _Counted(io.RawIOBase):
    """A stream that must not give more than `budget` bytes."""

    inner: Any
    budget: list[int] = field(default_factory=list)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data: bytes = self.inner.read(size)
        self.budget[0] -= len(data)
        if self.budget[0] < 0:
            raise ImageError(f"the layers unpack to more than {MAX_UNPACKED} bytes")
        return data


@contextmanager
def open_layer(file: Path, budget: list[int], *, whole: bool) -> Iterator[tarfile.TarFile]:
    """Open a layer: a tar file, plain or packed by gzip or zstd.

    Parameters
    ----------
    budget
        How many bytes it may still unpack to.
    whole
        Look at its very end, too: whether it was packed whole.
    """
    with file.open("rb") as raw, _unpacked(raw, whole) as stream:
        counted = _Counted(stream, budget)
        with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Member, bufsize=1 << 18) as tar:
            yield tar
        while whole and counted.read(1 << 18):
            pass


@contextmanager
def _unpacked(raw: IO[bytes], whole: bool) -> Iterator[Any]:
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=raw) as stream:
            yield stream
    elif magic == b"\x28\xb5\x2f\xfd":
        program = shutil.which("zstd")
        if program is None:
            raise MissingProgram(
                "the image's layers are packed with zstd, which is not on this machine",
                hint="as root: apt-get install -y --no-install-recommends zstd",
            )
        os.lseek(raw.fileno(), 0, os.SEEK_SET)  # what was read ahead is not the child's
        child = subprocess.Popen([program, "-dcq"], stdin=raw, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert child.stdout is not None
        try:
            yield child.stdout
            if whole and child.wait() != 0:
                raise tarfile.ReadError("it was not packed whole")
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
    else:
        yield raw


def merge(layers: Sequence[Path], on_layer: Callable[[int], None] = lambda _: None) -> Tree:
    """Return the tree that layers make, the lowest first.

    Raises
    ------
    ImageError
        A layer is broken, or hostile.
    """
    tree, budget = Tree(), [MAX_UNPACKED]
    for layer, file in enumerate(layers):
        on_layer(layer)
        with _faults(layer), open_layer(file, budget, whole=True) as tar:
            for number, member in _members(tar):
                tree.add(layer, number, member)
    return tree


def _members(tar: Any) -> Iterator[tuple[int, tarfile.TarInfo]]:
    for number, member in enumerate(tar):
        tar.members = []  # it remembers all of them otherwise
        yield number, member


@contextmanager
def _faults(layer: int) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, RecursionError, MemoryError, ValueError) as error:
        words = str(error)[:200] or type(error).__name__
        raise ImageError(f"layer {layer + 1} of the image cannot be read: {words}") from None


def complete(tree: Tree, env: Mapping[str, str], labels: bytes) -> None:
    """Add what runtimes need: folders and files that they mount over, and the image's own variables and labels."""
    for place in FOLDERS:
        if tree.find(_parts(place)) is None:
            made = Entry.folder(-1, 0o1777 if place in WORLD_WRITABLE else 0o755)
            *above, name = _parts(place)
            tree._children(above, -1)[name] = made
    for place, content in PLACEHOLDERS.items():
        tree.put(place, content, replace_dangling=True)
    if env:
        tree.put("/.singularity.d/env/10-docker2singularity.sh", environment_script(env))
    if labels:
        tree.put("/.singularity.d/labels.json", labels)


def environment_script(env: Mapping[str, str]) -> bytes:
    """Return the image's variables as a file that Apptainer reads by itself, and other runtimes' first process too."""
    lines = ["#!/bin/sh"]
    for name, value in env.items():
        quoted = "'" + value.replace("'", "'\\''") + "'"
        lines.append(f"export {name}={quoted}")
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def write(tree: Tree, layers: Sequence[Path], target: IO[bytes], on_layer: Callable[[int], None]) -> None:
    """Write the tree as a tar stream: folders, links, then the files layer by layer, each with its hard links."""
    budget = [MAX_UNPACKED]
    wanted: list[dict[int, list[str]]] = [{} for _ in layers]
    modes: dict[Source, int] = {}
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.GNU_FORMAT) as writing:
        for path, entry in tree.files():
            if entry.source is not None:
                wanted[entry.source[0]].setdefault(entry.source[1], []).append(path)
                modes.setdefault(entry.source, entry.mode)
            else:
                _write_entry(writing, path, entry)
        for layer, file in enumerate(layers):
            on_layer(layer)
            left = wanted[layer]
            if not left:
                continue
            with _faults(layer), open_layer(file, budget, whole=False) as tar:
                for number, member in _members(tar):
                    if (paths := left.pop(number, None)) is not None:
                        content = tar.extractfile(member)
                        _write_file(writing, paths, member.size, modes[layer, number], content)
                    if not left:
                        break
            if left:
                raise ImageError(f"layer {layer + 1} of the image changed while it was read")


def _write_entry(writing: tarfile.TarFile, path: str, entry: Entry) -> None:
    info = tarfile.TarInfo(path)
    if entry.children is not None:
        info.type = tarfile.DIRTYPE
        info.mode = 0o1777 if entry.mode & 0o1000 else (entry.mode & 0o777) | 0o755
        writing.addfile(info)
    elif entry.target is not None:
        info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, entry.target
        writing.addfile(info)
    else:
        content = entry.content or b""
        info.mode, info.size = 0o644, len(content)
        writing.addfile(info, io.BytesIO(content))


def _write_file(
    writing: tarfile.TarFile, paths: Sequence[str], size: int, mode: int, content: IO[bytes] | None
) -> None:
    """Write a file under its first path, and hard links to it; everyone may read it, and it raises nobody's rights."""
    info = tarfile.TarInfo(paths[0])
    info.mode, info.size = (mode & 0o777) | 0o444, size
    writing.addfile(info, content)
    for path in paths[1:]:
        link = tarfile.TarInfo(path)
        link.type, link.linkname = tarfile.LNKTYPE, paths[0]
        writing.addfile(link)
