"""What the catalogue knows of an image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

PIECE = 16 * 1024 * 1024
"""Bytes of a piece, of which each has a hash; the last one may be shorter."""
HASH = 32
"""Bytes of a hash (SHA-256)."""

SIF = "application/vnd.sylabs.sif.layer.v1.sif"
SQUASHFS = "application/vnd.squashfs"
SINGULARITY2 = "application/vnd.singularity.image.v2"

MirrorState = Literal["alive", "wrong", "dead", "unknown"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]{0,63}/[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def is_name(text: str) -> bool:
    """Say whether `text` can name an image of the catalogue: ``tool/version``."""
    return _NAME.match(text) is not None


def is_digest(text: str) -> bool:
    """Say whether `text` is ``sha256:`` and 64 digits."""
    return _DIGEST.match(text) is not None


@dataclass(frozen=True)
class Pieces:
    """The hashes of an image's pieces, in their order.

    Attributes
    ----------
    size
        Bytes of each piece but the last.
    hashes
        SHA-256, 32 bytes each, one after the other.
    """

    hashes: bytes
    size: int = PIECE

    def __len__(self) -> int:
        return len(self.hashes) // HASH

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> str:
        """Return the hash of piece `number` as 64 hexadecimal digits."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.hashes[number * HASH : (number + 1) * HASH].hex()

    def fits(self, size: int) -> bool:
        """Say whether there are as many hashes as an image of `size` bytes has pieces."""
        return len(self.hashes) % HASH == 0 and len(self) == max(1, -(-size // self.size))


@dataclass(frozen=True)
class Mirror:
    """A place that has the image, or should.

    Attributes
    ----------
    rate_bytes_per_s
        What the gateway's own last check saw.
    problem
        Why it is ``wrong`` or ``dead``.
    """

    url: str
    region: str | None = None
    state: MirrorState = "unknown"
    checked_at: datetime | None = None
    rate_bytes_per_s: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class ImageEntry:
    """An image of the catalogue.

    Attributes
    ----------
    id
        Stays the same for ever; the digest identifies it as soon as it is known.
    digest, size, media_type, pieces
        Of the file. None where nobody read it yet: it was imported, or is to be converted from a source.
    names
        ``tool/version``; the first is the one to show.
    sources
        References that it can be had or made from: ``docker://…``, ``https://…``.
    mirrors
        Places of this very file, in order of preference.
    commands
        What it exports.
    manifest_digest
        Of the OCI manifest that it came from.
    origin
        ``added``, ``neurodesk``, ``published``.
    pinned
        Never removed by a clean-up.
    live
        Offered and published; False: retired.
    """

    id: str
    digest: str | None
    names: tuple[str, ...]
    size: int | None
    media_type: str | None
    pieces: Pieces | None
    sources: tuple[str, ...]
    mirrors: tuple[Mirror, ...]
    categories: tuple[str, ...]
    commands: tuple[str, ...]
    created_at: datetime
    summary: str = ""
    architecture: str | None = None
    manifest_digest: str | None = None
    origin: str = "added"
    pinned: bool = False
    live: bool = True
    used_at: datetime | None = None

    @property
    def name(self) -> str:
        """For sentences."""
        return self.names[0] if self.names else (self.digest or self.id)[:19]
