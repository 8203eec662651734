"""Makes an image of the catalogue from one of its sources: `docker://` is converted, a SIF artefact brought, once."""

from __future__ import annotations

import platform
from pathlib import Path

from sqlalchemy import Connection

from gateway.db import images as table
from gateway.db.database import Database
from gateway.errors import GatewayError, ImageError
from gateway.images.entry import ImageEntry
from gateway.images.references import BadReference, ImageReference
from gateway.images.registry_images import RegistryImages


class FromSources:
    """Called with an image, it returns the image's file on this machine; None where no source is of a registry."""

    def __init__(self, registries: RegistryImages, database: Database) -> None:
        self._registries = registries
        self._database = database

    async def __call__(self, entry: ImageEntry) -> Path | None:
        """Make the image from the first of its sources that gives it.

        Raises
        ------
        ImageError
            None of them does; names each and why.
        """
        blamed: list[str] = []
        for source in entry.sources:
            try:
                reference = ImageReference.parse(source)
                if reference.in_registry:
                    return await self._made(entry, reference)
            except BadReference as error:
                blamed.append(f"{source} {error}")
            except GatewayError as error:
                blamed.append(error.message)
        if blamed:
            raise ImageError(f"the image {entry.name} cannot be made from its sources: {'; '.join(blamed)}")
        return None

    async def _made(self, entry: ImageEntry, reference: ImageReference) -> Path:
        machine = entry.architecture or platform.machine()
        digest = entry.manifest_digest or reference.digest
        if digest is None:
            digest = (await self._registries.resolve(reference, machine)).manifest_digest
        if digest is None:
            raise ImageError(f"{reference.plain} has no manifest")
        made = await self._registries.obtain(reference, digest, machine, _unheard)
        if entry.manifest_digest is None:
            await self._database.write(lambda c: self._note(c, entry, digest))
        return made.file

    @staticmethod
    def _note(connection: Connection, entry: ImageEntry, manifest_digest: str) -> None:
        table.update(connection, entry.id, manifest_digest=manifest_digest)


def _unheard(_: str) -> None:
    """Nobody listens: the state of the publication says that something is under way."""
