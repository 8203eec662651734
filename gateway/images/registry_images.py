"""Images of registries: what a tag means, and the image file of it, made once and kept here.

A SIF artefact is brought as it is. An ordinary container image is converted: its layers, put on top of each other,
become one squashfs file. Both are kept by digest among the images that this gateway built, under a key made from the
manifest's digest, so that no manifest is converted twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from gateway.db import image_resolutions
from gateway.db.database import Database
from gateway.db.image_resolutions import Resolution
from gateway.errors import ImageError, NoRoom
from gateway.images import library
from gateway.images.build import BuiltImage
from gateway.images.converting import CONVERTER, Conversion, convert_beside
from gateway.images.manifests import Descriptor, Manifest, oci_architecture, read_config
from gateway.images.published import Progress, PublishedImage, PublishedImages
from gateway.images.references import ImageReference
from gateway.images.registry import RegistryClient

log = logging.getLogger(__name__)

FOLDER = "registry-images"
"""Below the gateway's data folder: what is on its way."""
STALE = 7 * 86400.0
"""Seconds after which what a broken try left is removed."""
SPARE = 256 * 1024 * 1024
GROWTH = 3
"""A converted image takes less than so many times the size of its layers."""
TOLD_EVERY = 1.0


class RegistryImages:
    """Resolves references of registries, and makes image files of them.

    Parameters
    ----------
    folder
        For downloads and conversions.
    """

    def __init__(self, client: RegistryClient, kept: PublishedImages, database: Database, folder: Path) -> None:
        self.client = client
        self._kept = kept
        self._database = database
        self._folder = folder

    async def resolve(self, reference: ImageReference, machine: str) -> Resolution:
        """Find out what a reference means now for a machine (``uname -m``), and write that down.

        Raises
        ------
        UrlUnreachable
            Trying again may help.
        ImageError, UrlError, ConfigurationError
        """
        architecture = oci_architecture(machine)
        if reference.scheme == "library":
            image = await library.find(self.client, reference, architecture)
            base = self.client.registry(reference.host).base
            where = library.address(base, reference, image.digest, architecture)
            found = Resolution(None, image.digest, image.size, (where,))
            await self._note(reference.plain, architecture, found)
            return found
        manifest = await self.client.manifest(reference, architecture)
        _check_kind(reference, manifest)
        sif = manifest.sif
        found = Resolution(manifest.digest, sif.digest if sif else None, sif.size if sif else None)
        if sif is None and (known := await self._known(manifest.digest, machine)) is not None:
            found = known
        await self._note(reference.plain, architecture, found)
        return found

    async def _known(self, manifest_digest: str, machine: str) -> Resolution | None:
        """Return the image file that a manifest has become: here before, or among what is published."""
        if (made := await asyncio.to_thread(self._kept.made, _key(manifest_digest, machine))) is not None:
            return Resolution(manifest_digest, made.digest, made.size)
        names = (machine, oci_architecture(machine))
        return await self._database.read(lambda c: image_resolutions.published(c, manifest_digest, names))

    async def _note(self, reference: str, architecture: str, found: Resolution) -> None:
        at = datetime.now(UTC)
        await self._database.write(lambda c: image_resolutions.record(c, reference, architecture, found, at))

    def kept(self, digest: str) -> PublishedImage | None:
        """Return the image file of this digest that lies here."""
        return self._kept.by_digest(digest)

    async def obtain(
        self, reference: ImageReference, manifest_digest: str, machine: str, on_progress: Progress
    ) -> PublishedImage:
        """Return the image file of a manifest; bring or convert it first where it is not there.

        Raises
        ------
        UrlUnreachable
            Trying again may help: what has arrived is gone on with.
        ImageError, UrlError, NoRoom, ConfigurationError
        """
        pinned = ImageReference.parse(reference.pinned(manifest_digest))
        key = _key(manifest_digest, machine)
        name = _short(reference)
        work = self._folder / key.removeprefix("sha256:")[:32]

        async def maker(told: Progress) -> BuiltImage:
            await asyncio.to_thread(self._begin, work)
            manifest = await self.client.manifest(pinned, oci_architecture(machine))
            _check_kind(reference, manifest)
            if manifest.sif is not None:
                return await self._bring(pinned, manifest.sif, work, told)
            return await self._convert(pinned, manifest, work, told)

        image = await self._kept.make(key, name, maker, on_progress)
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
        await self._note(pinned.plain, oci_architecture(machine), Resolution(manifest_digest, image.digest, image.size))
        return image

    def _begin(self, work: Path) -> None:
        """Make the folder of this work; remove what others left long ago. Blocking."""
        work.mkdir(parents=True, exist_ok=True, mode=0o700)
        for other in self._folder.iterdir():
            if other != work and time.time() - other.stat().st_mtime > STALE:
                shutil.rmtree(other, ignore_errors=True)

    def _need_room(self, reference: ImageReference, size: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < size + SPARE:
            raise NoRoom(
                f"{reference.plain} needs about {size} bytes here, and {free} are free in {self._folder}",
                hint="free some, or let gateway.data be on a larger disk",
            )

    async def _bring(self, reference: ImageReference, sif: Descriptor, work: Path, told: Progress) -> BuiltImage:
        self._need_room(reference, sif.size)
        file = work / "image.sif"
        await self.client.blob(reference, sif, file, _counted(told, "downloading the image", sif.size))
        return BuiltImage(file, sif.digest, sif.size)

    async def _convert(self, reference: ImageReference, manifest: Manifest, work: Path, told: Progress) -> BuiltImage:
        self._need_room(reference, GROWTH * manifest.size)
        config = read_config(await self.client.small_blob(reference, manifest.config), reference.plain)
        files = []
        for number, layer in enumerate(manifest.layers):
            file = work / layer.digest.removeprefix("sha256:")
            words = f"downloading layer {number + 1} of {len(manifest.layers)}"
            await self.client.blob(reference, layer, file, _counted(told, words, layer.size))
            files.append(file)
        try:
            return await convert_beside(Conversion(work, tuple(files), config), told)
        except ImageError as error:
            if type(error) is ImageError:
                raise ImageError(f"{reference.plain}: {error.message}", hint=error.hint) from None
            raise


def _check_kind(reference: ImageReference, manifest: Manifest) -> None:
    if reference.scheme == "oras" and manifest.sif is None:
        kinds = sorted({layer.media_type[:60] for layer in manifest.layers})
        raise ImageError(
            f"{reference.plain} is no SIF artefact, but {', '.join(kinds[:3])}",
            hint="write docker:// if it is an ordinary container image",
        )


def _key(manifest_digest: str, machine: str) -> str:
    """Return what an image file is kept under: all that it is made from (an index has a manifest for each machine)."""
    made_from = f"oci {CONVERTER} {manifest_digest} {oci_architecture(machine)}"
    return f"sha256:{hashlib.sha256(made_from.encode()).hexdigest()}"


def _short(reference: ImageReference) -> str:
    return reference.name.rpartition("/")[2][:64]


def _counted(told: Progress, words: str, size: int) -> Callable[[int], None]:
    """Return what tells, once a second, how much has come."""
    last = 0.0

    def arrived(there: int) -> None:
        nonlocal last
        if time.monotonic() - last >= TOLD_EVERY:
            last = time.monotonic()
            told(f"{words}: {there / 1e6:.0f} of {size / 1e6:.0f} MB")

    return arrived
