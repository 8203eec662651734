"""A gateway with mirrors that images are published to, and a loop that is run by hand."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalogued import described

from gateway.app import Gateway
from gateway.engine.publishing import PublishingLoop
from gateway.images.entry import ImageEntry
from gateway.images.rows import load
from gateway.model.image import NewImage
from gateway.model.image_mirrors import PlannedPublication, Publication, PublishRequest
from gateway.settings import Settings, parse
from testbed.mirror import Mirror
from tests.databases import lay_database

NAME = "fsl/6.0.3"
Opened = Callable[..., Awaitable["PublishedSite"]]


def image_file(root: Path, mirror: str, digest: str) -> Path:
    return root / mirror / "images" / f"{digest.removeprefix('sha256:')}.sqfs"


def states(found: dict[str, Any]) -> dict[str, str]:
    return {name: one.state for name, one in found.items()}


def small_image(seed: int = 1, size: int = 200_000) -> bytes:
    """Return bytes that begin as a squashfs image does."""
    return b"hsqs" + random.Random(seed).randbytes(size - 4)


def folder_mirror(name: str, public: Mirror, root: Path, **more: Any) -> dict[str, Any]:
    """Return the section of a mirror in the store of the same name, a folder that `public` serves."""
    url = public.serve_folder(f"/{name}", root / name / "images")
    return {"name": name, "store": name, "url": url, **more}


def settings_with(data: Path, mirrors: Sequence[dict[str, Any]], **more: Any) -> Settings:
    """Return a configuration with mirrors; stores that are not given are folders beside the gateway's data."""
    stores = {one["store"]: {"kind": "directory", "path": str(data.parent / one["store"])} for one in mirrors}
    raw: dict[str, Any] = {
        "gateway": {"data": str(data), "allow_urls": ["127.0.0.1"]},
        "stores": {**stores, **more.pop("stores", {})},
        "image_mirrors": list(mirrors),
        **more,
    }
    return parse(raw)


@dataclass
class PublishedSite:
    """An open gateway; nothing but `carry_out` publishes."""

    gateway: Gateway

    @property
    def loop(self) -> PublishingLoop:
        """A loop of this gateway."""
        return PublishingLoop(self.gateway.image_publishing, self.gateway.bell)

    async def add(self, content: bytes, *urls: str, name: str = NAME, **more: Any) -> str:
        """Take an image into the catalogue; return its digest."""
        told = described(content)
        order = {"names": [name], "mirrors": urls, "sources": ["s3://tools/fsl.sif"], **told, **more}
        return str((await self.gateway.image_catalogue.add(NewImage.model_validate(order))).digest)

    async def entry(self, key: str = NAME) -> ImageEntry:
        """Return an image as the catalogue has it."""
        found = await self.gateway.database.read(lambda c: load(c, key))
        assert found is not None
        return found

    async def publish(self, *images: str, mirrors: Sequence[str] = ()) -> dict[str, Publication]:
        """Ask for it, carry it out, and return what became of it in each mirror."""
        await self.gateway.image_publishing.begin(PublishRequest(images=images, mirrors=tuple(mirrors)), "alice")
        await self.carry_out()
        return await self.standing(*images)

    async def carry_out(self) -> None:
        """Do all that is due."""
        while await self.loop.do_one():
            pass

    async def standing(self, *images: str) -> dict[str, Publication]:
        """Return how images stand in each mirror."""
        page, _ = await self.gateway.image_publishing.page(images)
        return {one.mirror: one for one in page.items}

    async def plan(self, *images: str) -> list[PlannedPublication]:
        """Return what publishing would do."""
        return [line async for line in self.gateway.image_publishing.plan(PublishRequest(images=images))]


def open_gateway(settings: Settings) -> Gateway:
    """Return a gateway that does not drive, to be opened."""
    lay_database(settings.gateway.data_folder)
    return Gateway(settings, drive=False)
