"""Mirrors that images are published to, and how far each image is on its way to each."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from gateway.model.base import Line, Model, Name, Time
from gateway.model.image import Region
from gateway.model.job import Answer

PublicationState = Literal["wanted", "working", "published", "failed"]
PlannedAction = Literal["none", "upload", "copy", "convert", "refused"]

_FIELD = re.compile(r"\{([^{}]*)\}")
_FOLDER = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"
FIELDS = frozenset({"digest", "tool", "version", "suffix"})
"""What a mirror's path may hold."""


ImageKey = Annotated[Line, StringConstraints(min_length=1, max_length=200)]
"""Name, digest or id of an image."""


class ImageMirrorSettings(Model):
    """A section ``[[image_mirrors]]``.

    Attributes
    ----------
    store
        The configured store that its files stand in.
    url
        Where everybody reads them; ``{path}`` is a file's path below `folder`, at the end where it is not named.
    folder
        Folder in the store.
    path
        Of a file below it: ``{digest}`` (64 digits), ``{tool}``, ``{version}``, ``{suffix}`` (``.sif``, ``.sqfs``…).
    """

    name: Name
    store: Name
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#@\\]{1,500}$")]
    region: Region | None = None
    folder: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
    ] = "images"
    path: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+{}/-]{1,200}$")] = "{digest}{suffix}"

    @field_validator("path")
    @classmethod
    def _fields(cls, value: str) -> str:
        named = set(_FIELD.findall(value))
        if named - FIELDS or re.search(r"[{}]", _FIELD.sub("", value)):
            raise ValueError("may hold {digest}, {tool}, {version} and {suffix} only")
        if not ("digest" in named or {"tool", "version"} <= named):
            raise ValueError("needs {digest}, or {tool} and {version}: else two images had one name")
        if any(part in ("", ".", "..") for part in value.split("/")):
            raise ValueError("must be a plain path without '..' and '//'")
        return value


class ImageMirrorInfo(Answer):
    """A configured mirror, and how many images are in which state there."""

    name: str
    url: str
    region: str | None = None
    wanted: int = 0
    working: int = 0
    published: int = 0
    failed: int = 0


class ImageMirrorPage(Answer):
    """The configured mirrors, in the order of the configuration."""

    items: list[ImageMirrorInfo]
    next_cursor: str | None = None


class PublishRequest(Model):
    """`POST /image-publications`."""

    images: Annotated[
        tuple[Annotated[Line, StringConstraints(min_length=1, max_length=200)], ...], Field(max_length=1000)
    ] = Field(default=(), description="Names, digests or ids; all live images by default.")
    mirrors: Annotated[tuple[Name, ...], Field(max_length=100)] = Field(
        default=(), description="Only these; all by default."
    )


class PublishBegun(Answer):
    """What is going to be looked at: it is carried out beside."""

    images: list[str]
    publications: int


class Publication(Answer):
    """An image in a mirror.

    Attributes
    ----------
    image
        Its name, for people.
    problem
        Why it is not there, or not right.
    bytes
        How many have been copied in the try that goes on.
    by
        Who asked; ``automatic`` where the gateway did so by itself.
    next_at
        When it is tried again; null: not before somebody asks, or it is time for the next run.
    """

    image_id: str
    image: str
    digest: str | None = None
    size: int | None = None
    mirror: str
    state: PublicationState
    url: str | None = None
    problem: str | None = None
    tries: int = 0
    bytes: int = 0
    by: str
    updated_at: Time
    published_at: Time | None = None
    checked_at: Time | None = None
    next_at: Time | None = None


class PublicationPage(Answer):
    """Publications, by image and mirror."""

    items: list[Publication]
    next_cursor: str | None = None


class PlannedPublication(Answer):
    """What publishing would do with an image in one mirror.

    Attributes
    ----------
    action
        ``none``: it is there, and right; ``upload`` from the gateway, ``copy`` from another mirror, ``convert`` from
        its source first; ``refused``: it cannot be done, and `detail` says why.
    source
        Where its bytes would come from.
    """

    image_id: str
    image: str
    mirror: str
    action: PlannedAction
    source: str | None = None
    detail: str | None = None
