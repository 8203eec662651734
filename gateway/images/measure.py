"""What there is to know of an image file: read once, piece by piece."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ImageError
from gateway.images.entry import PIECE, SIF, SINGULARITY2, SQUASHFS, Pieces

HEAD = 64
"""Bytes at the beginning by which the kind is told."""
CHUNK = 1024 * 1024

_SIF_MAGIC = b"SIF_MAGIC"
_SIF_PLACE = 32
_LAUNCHER = b"#!/usr/bin/env run-singularity\n"
_SQUASHFS_MAGIC = b"hsqs"


def media_type(head: bytes) -> str | None:
    """Return the kind of an image by its first `HEAD` bytes; None for what is no image."""
    if head[_SIF_PLACE:].startswith(_SIF_MAGIC):
        return SIF
    if head.startswith(_SQUASHFS_MAGIC):
        return SQUASHFS
    if head.startswith(_LAUNCHER) and head[len(_LAUNCHER) :].startswith(_SQUASHFS_MAGIC):
        return SINGULARITY2
    return None


def not_an_image(head: bytes) -> str:
    """Say what came instead of an image."""
    text = head.lstrip().lower()
    what = "a web page" if text.startswith((b"<!doctype", b"<html", b"<?xml")) else "no SIF, nor a squashfs image"
    return f"what came is {what}"


@dataclass(frozen=True)
class Measured:
    """An image file: ``sha256:…``, bytes, kind, hashes of its pieces."""

    digest: str
    size: int
    media_type: str
    pieces: Pieces


class Measure:
    """Takes the bytes of a file in their order. Not for two threads at once."""

    def __init__(self) -> None:
        self.size = 0
        self._whole = hashlib.sha256()
        self._piece = hashlib.sha256()
        self._in_piece = 0
        self._hashes = bytearray()
        self._head = b""

    def take(self, data: bytes) -> None:
        """Take the next bytes.

        Raises
        ------
        ImageError
            It is no image.
        """
        if self.size < HEAD:
            self._head += data[: HEAD - self.size]
            if len(self._head) == HEAD and media_type(self._head) is None:
                raise ImageError(not_an_image(self._head))
        self.size += len(data)
        self._whole.update(data)
        view = memoryview(data)
        while view:
            part = view[: PIECE - self._in_piece]
            self._piece.update(part)
            self._in_piece += len(part)
            view = view[len(part) :]
            if self._in_piece == PIECE:
                self._end_piece()

    def end(self) -> Measured:
        """Return what was found; raises `ImageError` where it was no image."""
        kind = media_type(self._head)
        if kind is None:
            raise ImageError(not_an_image(self._head))
        if self._in_piece:
            self._end_piece()
        return Measured(f"sha256:{self._whole.hexdigest()}", self.size, kind, Pieces(bytes(self._hashes)))

    def _end_piece(self) -> None:
        self._hashes += self._piece.digest()
        self._piece, self._in_piece = hashlib.sha256(), 0


def measure_file(file: Path, on_bytes: Callable[[int], object] | None = None) -> Measured:
    """Read a file of this machine once. Blocking.

    Parameters
    ----------
    on_bytes
        Is told again and again how many bytes were read.

    Raises
    ------
    ImageError
        It cannot be read, or is no image.
    """
    found = Measure()
    try:
        with file.open("rb") as stream:
            while data := stream.read(CHUNK):
                found.take(data)
                if on_bytes is not None:
                    on_bytes(found.size)
    except OSError as error:
        raise ImageError(f"{file} cannot be read: {error.strerror}") from None
    except ImageError as error:
        raise ImageError(f"{file}: {error.message}") from None
    return found.end()
