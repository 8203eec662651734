"""Images of the catalogue as they stand on the wire."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, StringConstraints, model_validator

from gateway.model.base import Digest, Line, Memory, Model, Time
from gateway.model.job import Answer

ImageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.+-]{0,63}/[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$")]
"""``tool/version``, such as ``fsl/6.0.3``."""
Region = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Command = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,127}$")]
Category = Annotated[Line, StringConstraints(min_length=1, max_length=64)]
Text = Annotated[Line, StringConstraints(max_length=2000)]
MAX_MIRRORS = 16
MAX_PIECES = 65_536
"""Of 16 MiB: a terabyte."""

_MIRROR = re.compile(r"(https?://[^\s/@]+/\S+|file:///\S+|/\S+)\Z")


def _mirror_url(value: str) -> str:
    if not _MIRROR.match(value):
        raise ValueError("must be https://…, http://… (without a user name in it), file:///… or a path of the targets")
    return value


MirrorUrl = Annotated[Line, StringConstraints(max_length=2048), AfterValidator(_mirror_url)]
"""A place of an image file that nodes can read without a login."""


class NewMirror(Model):
    """A place that has the image file."""

    url: MirrorUrl
    region: Region | None = None


def _plain_mirror(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


Mirrors = Annotated[
    tuple[Annotated[NewMirror, BeforeValidator(_plain_mirror)], ...],
    Field(max_length=MAX_MIRRORS, description="Places of the file, the preferred first; a text is an address."),
]
Names = Annotated[tuple[ImageName, ...], Field(max_length=32)]
Sources = Annotated[tuple[Annotated[Line, StringConstraints(min_length=1, max_length=2048)], ...], Field(max_length=16)]
Categories = Annotated[tuple[Category, ...], Field(max_length=32)]
Commands = Annotated[tuple[Command, ...], Field(max_length=10_000)]


class NewImage(Model):
    """An image for the catalogue (`POST /images`).

    Without ``pieces`` the gateway reads the file once, from the first mirror that has it. With ``digest``, ``size`` and
    ``pieces`` (the SHA-256 of each 16 MiB, in hexadecimal digits) it believes them, and a check proves the mirrors.
    """

    names: Names = Field(min_length=1)
    mirrors: Mirrors = ()
    sources: Sources = Field(default=(), description="References that it was, or can be, made from: `docker://…`.")
    digest: Digest | None = None
    size: int | None = Field(default=None, ge=1, le=2**50)
    media_type: Annotated[str, StringConstraints(pattern=r"^[a-z]+/[A-Za-z0-9.+-]{1,100}$")] | None = None
    pieces: tuple[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")], ...] | None = Field(
        default=None, min_length=1, max_length=MAX_PIECES
    )
    categories: Categories = ()
    commands: Commands = ()
    summary: Text = ""
    architecture: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")] | None = None
    manifest_digest: Digest | None = None
    pinned: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.pieces is not None and (self.digest is None or self.size is None):
            raise ValueError("pieces: go with digest and size")
        if self.pieces is not None and self.size is not None and len(self.pieces) != -(-self.size // (16 * 2**20)):
            raise ValueError("pieces: must be one for each 16 MiB of size")
        if not self.mirrors and not self.sources:
            raise ValueError("mirrors: it must have a mirror, or a source that it can be made from")
        return self


class ImageChanges(Model):
    """Changes of an image (`PATCH /images/{id}`); what is not given stays."""

    names: Names | None = Field(default=None, min_length=1)
    mirrors: Mirrors | None = None
    sources: Sources | None = None
    categories: Categories | None = None
    commands: Commands | None = None
    summary: Text | None = None
    pinned: bool | None = None
    live: bool | None = None


MirrorState = Literal["alive", "wrong", "dead", "unknown"]


class ImageMirror(Answer):
    """A place of an image, and how the gateway's last check found it.

    ``wrong``: what it has is not the image. ``rate_bytes_per_s``: as the gateway saw it; targets see their own.
    """

    url: str
    region: str | None = None
    state: MirrorState = "unknown"
    checked_at: Time | None = None
    rate_bytes_per_s: float | None = None
    problem: str | None = None


class ImageWork(Answer):
    """What the gateway does with an image now, or did last: ``read`` the whole file, or ``check`` its mirrors."""

    kind: Literal["read", "check"]
    state: Literal["running", "done", "failed", "interrupted"]
    bytes: int = 0
    total: int | None = None
    problem: str | None = None
    at: Time


class ImageSummary(Answer):
    """An image as lists show it. Without ``digest`` nobody has read the file yet."""

    id: str
    name: str
    names: list[str]
    digest: str | None
    size: int | None
    media_type: str | None
    architecture: str | None
    categories: list[str]
    summary: str
    origin: str
    pinned: bool
    live: bool
    mirrors_alive: int
    mirrors_known: int
    created_at: Time
    used_at: Time | None
    work: ImageWork | None = None


class ImageInfo(ImageSummary):
    """An image. ``pieces`` are only told where they were asked for."""

    mirrors: list[ImageMirror]
    sources: list[str]
    commands: list[str]
    manifest_digest: str | None
    piece_size: int | None
    piece_count: int
    pieces: list[str] | None = None


class ImagePage(Answer):
    """A page of images, by name."""

    items: list[ImageSummary]
    next_cursor: str | None = None


class CheckOrder(Model):
    """How to check the mirrors of an image (`POST /images/{id}/check`)."""

    full: bool = Field(default=False, description="Read the whole file, once; what is not known of it is learned.")


def _pattern(value: str) -> str:
    if "{file}" not in value:
        raise ValueError("must contain {file}, which stands for <tool>_<version>_<builddate>.simg")
    _mirror_url(value.replace("{file}", "x").replace("{image}", "x").replace("{tool}", "x"))
    return value


class MirrorPattern(Model):
    """Where the files of many images are: ``{file}``, ``{image}`` (without its ending) and ``{tool}`` are replaced."""

    pattern: Annotated[Line, StringConstraints(max_length=2048), AfterValidator(_pattern)]
    region: Region | None = None


def _plain_pattern(value: Any) -> Any:
    return {"pattern": value} if isinstance(value, str) else value


class ImportOrder(Model):
    """A list of images to take over (`POST /images/import`): Neurodesk's ``apps.json``, itself or its address."""

    document: dict[str, JsonValue] | None = None
    url: Annotated[Line, StringConstraints(max_length=2048)] | None = None
    mirrors: tuple[Annotated[MirrorPattern, BeforeValidator(_plain_pattern)], ...] = Field(
        default=(), max_length=MAX_MIRRORS, description="Neurodesk's public mirror by default."
    )
    dry_run: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.document is None) == (self.url is None):
            raise ValueError("needs either document or url")
        return self


class ImportProblem(Answer):
    """An entry that could not be taken over."""

    entry: str
    detail: str


class ImportReport(Answer):
    """What came of an import; names of images."""

    added: list[str]
    changed: list[str]
    unchanged: int
    problems: list[ImportProblem]
    dry_run: bool = False


class CleanOrder(Model):
    """What to remove from the catalogue (`POST /images/gc`)."""

    dry_run: bool = True
    unused_days: float = Field(default=90, ge=0, le=36500)


class CleanReport(Answer):
    """Images that are retired, not pinned, and that no job asked for in so many days. Files of mirrors stay."""

    items: list[ImageSummary]
    dry_run: bool


class CacheOrder(Model):
    """How much of a target's image cache may stay (`POST /targets/{name}/images/gc`)."""

    limit: Memory | None = Field(default=None, ge=0, description="Bytes, or `500G`; the target's own by default.")


class CachedImage(Answer):
    """An image of a target's cache. ``kept`` says why it stays (``in_use``, ``wanted`` …); null: it was removed."""

    key: str
    name: str | None
    bytes: int
    kept: str | None


class CacheReport(Answer):
    """What was removed from a target's image cache, and how many bytes are left."""

    target: str
    limit: int
    left: int
    items: list[CachedImage]
