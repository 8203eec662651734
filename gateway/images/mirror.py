"""A configured mirror: where an image stands in it, and whether it is there, whole and right."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from gateway.errors import GatewayError, ImageError, NotFound
from gateway.images.entry import SIF, SINGULARITY2, ImageEntry
from gateway.images.signatures import MOST, SUFFIX
from gateway.model.image_mirrors import ImageMirrorSettings
from gateway.settings import Settings
from gateway.storage.names import clean_path
from gateway.storage.stores.base import Place, Store, StoredObject

OWNER = "images"
"""Stands for a job's id where a store wants one."""
_SUFFIXES = {SIF: ".sif", SINGULARITY2: ".img"}

Standing = Literal["there", "missing", "other", "failed"]


@dataclass(frozen=True)
class Look:
    """What stands where an image should, in one mirror.

    Attributes
    ----------
    standing
        ``there``: the very image; ``missing``: nothing; ``other``: something else; ``failed``: it cannot be told.
    proof
        What the store says of the object, with ``there``: as long as it says so, its bytes are those that were read.
    problem
        With ``other`` and ``failed``.
    """

    standing: Standing
    proof: str | None = None
    problem: str | None = None
    size: int = 0


class ImageMirror:
    """A mirror and the store that its files stand in."""

    def __init__(self, settings: ImageMirrorSettings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.place = Place(OWNER, OWNER, path=settings.folder)

    @property
    def name(self) -> str:
        """Of the mirror."""
        return self.settings.name

    def path(self, entry: ImageEntry) -> str:
        """Return where the image stands below the mirror's folder.

        Raises
        ------
        ImageError
            It has no digest, or no name, and needs one.
        """
        if entry.digest is None:
            raise ImageError(f"the image {entry.name} was never read: its digest is not known")
        tool, _, version = (entry.names[0] if entry.names else "").partition("/")
        if not tool and "{tool}" in self.settings.path:
            raise ImageError(f"the image {entry.name} has no name, and the mirror {self.name} keeps images by name")
        values = {
            "digest": entry.digest.removeprefix("sha256:"),
            "tool": tool,
            "version": version,
            "suffix": _SUFFIXES.get(entry.media_type or "", ".sqfs"),
        }
        return clean_path(self.settings.path.format(**values))

    def url(self, path: str) -> str:
        """Return the public address of what stands at a path below the mirror's folder."""
        quoted, pattern = quote(path, safe="/~"), self.settings.url
        return pattern.replace("{path}", quoted) if "{path}" in pattern else f"{pattern.rstrip('/')}/{quoted}"

    @property
    def holds_only_this(self) -> bool:
        """Whether nothing but this very image can rightly stand at its path."""
        return "{digest}" in self.settings.path

    async def look(self, entry: ImageEntry, path: str, proof: str | None, *, read: bool = True) -> Look:
        """Say whether the image stands at its path.

        Parameters
        ----------
        proof
            What was said of the object when its bytes were read: as long as that holds, they are not read again.
        read
            Whether to read them otherwise; else size decides.
        """
        try:
            found = await self.store.stat(self.place, path)
            if found is None:
                return Look("missing")
            if found.size != entry.size:
                problem = f"another file stands there: {found.size} bytes in the place of {entry.size}"
                return Look("other", problem=problem, size=found.size)
            said = proof_of(found)
            if said == proof or not read or await self.digest(path) == entry.digest:
                return Look("there", said, size=found.size)
            return Look("other", problem="another file stands there: its digest is not the image's", size=found.size)
        except NotFound:
            return Look("missing")
        except GatewayError as error:
            return Look("failed", problem=error.message)

    async def digest(self, path: str) -> str:
        """Read a whole file and return its digest."""
        hasher = hashlib.sha256()
        async with aclosing(self.store.read(self.place, path)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                await asyncio.to_thread(hasher.update, piece)
        return f"sha256:{hasher.hexdigest()}"

    async def signature(self, path: str) -> bytes | None:
        """Return the signature beside an image; None where there is none."""
        try:
            found = await self.store.stat(self.place, path + SUFFIX)
            if found is None or found.size > MOST:
                return None
            async with aclosing(self.store.read(self.place, path + SUFFIX, 0, MOST)) as pieces:  # type: ignore[type-var]
                return b"".join([piece async for piece in pieces])
        except NotFound:
            return None

    async def write_signature(self, path: str, data: bytes) -> None:
        """Put a signature beside an image."""
        await self.store.write(self.place, path + SUFFIX, data, "application/json")

    async def clear(self, path: str) -> None:
        """Remove what copies that were cut short left beside a path in a folder; object stores keep nothing of them."""
        if self.store.kind != "directory":
            return
        listing = self.store.list(self.place, f"{path}.")
        async with aclosing(listing) as objects:  # type: ignore[type-var]
            left = [found.path async for found in objects if found.path.endswith(".partial")]
        if left:
            await self.store.remove(self.place, left)


def proof_of(found: StoredObject) -> str:
    """Return what a store says of an object, by which a changed one is known."""
    at = "" if found.modified_at is None else found.modified_at.isoformat()
    return f"{found.size} {found.md5 or ''} {found.etag or ''} {at}"


def build_mirrors(settings: Settings, stores: Mapping[str, Store]) -> dict[str, ImageMirror]:
    """Return the configured mirrors by name, in their order."""
    return {item.name: ImageMirror(item, stores[item.store]) for item in settings.image_mirrors}
