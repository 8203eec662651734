"""What a job means that names an image of the catalogue: the very file, and where its target gets it best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from gateway.db import images as table
from gateway.db.database import Database
from gateway.errors import FieldError
from gateway.images.entry import ImageEntry, is_name
from gateway.images.health import in_order
from gateway.images.rows import load
from gateway.model.specification import Image, JobSpecification, Tool

MAX_MIRRORS = 16
"""That a job's specification may name."""


@dataclass(frozen=True)
class Choice:
    """A specification whose images are places, and the digests that names stand for.

    Attributes
    ----------
    pinned
        By the place in the request (``("image",)``, ``("tools", 0)``).
    """

    specification: JobSpecification
    pinned: Mapping[tuple[str | int, ...], str]


class ImageChooser:
    """Looks names up in the catalogue. Blocking: call it in a thread.

    Parameters
    ----------
    regions
        Where targets are, by their names.
    """

    def __init__(self, database: Database, regions: Mapping[str, str | None]) -> None:
        self.database = database
        self.regions = regions

    def choose(self, specification: JobSpecification, target: str) -> tuple[Choice, list[FieldError]]:
        """Return the specification with its images found, and what could not be found."""
        asked: list[tuple[tuple[str | int, ...], Image]] = [
            (("tools", number), tool) for number, tool in enumerate(specification.tools)
        ]
        if specification.image is not None:
            asked.insert(0, (("image",), specification.image))
        named = [(place, image) for place, image in asked if image.is_named]
        if not named:
            return Choice(specification, {}), []
        return self.database.read_here(lambda c: self._choose(c, specification, target, named))

    def _choose(
        self,
        connection: Connection,
        specification: JobSpecification,
        target: str,
        named: Sequence[tuple[tuple[str | int, ...], Image]],
    ) -> tuple[Choice, list[FieldError]]:
        rates, pinned, errors = table.rates_of(connection, target), {}, []
        image, tools = specification.image, list(specification.tools)
        for place, asked in named:
            try:
                entry = _entry(connection, asked)
                found = _placed(entry, asked, rates, self.regions.get(target))
            except LookupError as error:
                errors.append(FieldError("#/" + "/".join(map(str, place)), str(error.args[0])))
                continue
            if entry.digest is not None:
                pinned[place] = entry.digest
            if isinstance(found, Tool):
                tools[int(place[1])] = found
            else:
                image = found
        changed = specification.model_copy(update={"image": image, "tools": tuple(tools)})
        return Choice(changed, pinned), errors


def pin(request: dict[str, Any], pinned: Mapping[tuple[str | int, ...], str]) -> dict[str, Any]:
    """Return a request that means the very files that its names stood for, also when it is asked again. Pure."""
    changed = dict(request)
    for place, digest in pinned.items():
        key = str(place[0])
        if len(place) == 1:
            changed[key] = _pinned(changed.get(key), digest)
        else:
            items = list(changed.get(key) or ())
            number = int(place[1])
            items[number] = _pinned(items[number], digest)
            changed[key] = items
    return changed


def _pinned(value: Any, digest: str) -> dict[str, Any]:
    return {**({"ref": value} if isinstance(value, str) else value or {}), "digest": digest}


def _entry(connection: Connection, asked: Image) -> ImageEntry:
    """Return the image that is asked for; raises LookupError with a sentence."""
    by_digest = load(connection, asked.digest) if asked.digest is not None else None
    entry = by_digest or load(connection, asked.ref)
    if entry is None:
        raise LookupError(f"{asked.ref} is not in the catalogue of images (see: gateway images list)")
    if asked.digest is not None and entry.digest != asked.digest:
        raise LookupError(f"{asked.ref} with this digest is not in the catalogue of images any more")
    return entry


def _placed(entry: ImageEntry, asked: Image, rates: Mapping[str, float], region: str | None) -> Image:
    """Return where to get an image; raises LookupError where there is no place."""
    urls = [mirror.url for mirror in in_order(entry.mirrors, rates, region)][: MAX_MIRRORS + 1]
    if not urls:
        urls = list(entry.sources[:1])
    if not urls:
        raise LookupError(f"{entry.name} has no mirror that has it (see: gateway images show {entry.name})")
    values: dict[str, Any] = {"ref": urls[0], "mirrors": urls[1:], "digest": entry.digest}
    if isinstance(asked, Tool):
        name = asked.name or (asked.ref if is_name(asked.ref) else entry.name)
        values |= {"name": name, "commands": asked.commands or entry.commands[:5000]}
    try:
        return type(asked).model_validate(values)
    except ValidationError as error:
        raise LookupError(f"{entry.name} cannot be used: {error.errors()[0]['msg']}") from None
