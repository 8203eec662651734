"""Manifests of OCI registries, read as what strangers made: bounded, typed, and checked against their digests. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from gateway.errors import ImageError

MAX_MANIFEST = 4 * 1024 * 1024
"""Bytes; registries take no larger ones."""
MAX_LAYERS = 512
MAX_SIZE = 2**45

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join((*MANIFESTS, *INDEXES))
SIF_LAYERS = frozenset({"application/vnd.sylabs.sif.layer.v1.sif", "appliciation/vnd.sylabs.sif.layer.tar"})
"""Media types of SIF files; the second one is how early clients misspelled it."""
_FOREIGN = ("nondistributable", "foreign")
_MACHINES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "i386": "386",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}

Sha256 = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
MediaType = Annotated[str, StringConstraints(max_length=255)]


class _Read(BaseModel):
    """Base of what is read: unknown fields are ignored, types are not guessed."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Platform(_Read):
    """What an image of an index runs on."""

    architecture: str = ""
    os: str = ""
    variant: str = ""


class Descriptor(_Read):
    """A piece of content: what it is, which bytes, how many."""

    media_type: MediaType = Field(alias="mediaType", default="")
    digest: Sha256
    size: int = Field(ge=0, le=MAX_SIZE)
    platform: Platform | None = None


class _Index(_Read):
    manifests: tuple[Descriptor, ...] = Field(max_length=1000, strict=False)


class _Manifest(_Read):
    schema_version: int = Field(alias="schemaVersion")
    config: Descriptor
    layers: tuple[Descriptor, ...] = Field(min_length=1, max_length=MAX_LAYERS, strict=False)


@dataclass(frozen=True)
class Manifest:
    """The manifest of one image for one architecture.

    Attributes
    ----------
    digest
        Of the manifest itself.
    """

    digest: str
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def size(self) -> int:
        """Bytes of all layers as they are sent."""
        return sum(layer.size for layer in self.layers)

    @property
    def sif(self) -> Descriptor | None:
        """The SIF file, where the artefact is one."""
        found = [layer for layer in self.layers if layer.media_type in SIF_LAYERS]
        return found[0] if len(found) == 1 else None


def oci_architecture(machine: str) -> str:
    """Return what registries call a machine (``uname -m``)."""
    return _MACHINES.get(machine, machine)


def digest_of(body: bytes) -> str:
    """Return ``sha256:…`` of a document."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def read_manifest(body: bytes, named: str) -> Manifest | tuple[Descriptor, ...]:
    """Read a manifest, or the members of an index.

    Parameters
    ----------
    named
        The image, for sentences.

    Raises
    ------
    ImageError
        It is neither, or of a kind that nothing can be made of.
    """
    document = _json(body, named)
    kind = document.get("mediaType", "")
    if document.get("schemaVersion") == 1:
        raise ImageError(f"{named}: its manifest is of Docker's first kind (schema 1), which has no digests that hold")
    try:
        if kind in INDEXES or (kind not in MANIFESTS and "manifests" in document):
            return _Index.model_validate(document).manifests
        found = _Manifest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ImageError(f"{named}: its manifest means nothing ({place}: {first['msg']})") from None
    for layer in found.layers:
        if any(word in layer.media_type for word in _FOREIGN):
            raise ImageError(f"{named}: one of its layers is not given out by registries ({layer.media_type})")
    return Manifest(digest_of(body), found.config, found.layers)


def choose(members: Sequence[Descriptor], architecture: str, named: str) -> Descriptor:
    """Return the member of an index for an architecture of Linux.

    Raises
    ------
    ImageError
        There is none; names those that there are.
    """
    there = [m for m in members if m.platform is not None and m.platform.os == "linux"]
    fitting = [m for m in there if m.platform is not None and m.platform.architecture == architecture]
    if fitting:
        # v7 before v6 for arm, v1 (or none) before what not every amd64 can run
        newest_first = architecture == "arm"
        return sorted(fitting, key=lambda m: m.platform.variant if m.platform else "", reverse=newest_first)[0]
    bare = [m for m in members if m.platform is None]
    if len(members) == 1 and bare:
        return bare[0]
    known = sorted({m.platform.architecture[:20] for m in there if m.platform and m.platform.architecture != "unknown"})
    raise ImageError(f"{named}: there is no image for {architecture}, only for {', '.join(known[:20]) or 'none'}")


@dataclass(frozen=True)
class Config:
    """What an image's configuration says that the conversion keeps."""

    env: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    architecture: str = ""


def read_config(body: bytes, named: str) -> Config:
    """Read the configuration of an image; what is odd in it is left out. Raises `ImageError`: it is no JSON object."""
    document = _json(body, named)
    inner = document.get("config")
    inner = inner if isinstance(inner, dict) else {}
    env: dict[str, str] = {}
    for item in _list(inner.get("Env")):
        name, equals, value = item.partition("=") if isinstance(item, str) else ("", "", "")
        if equals and name.isidentifier() and name.isascii() and "\0" not in value:
            env[name] = value
    labels = inner.get("Labels")
    pairs = labels.items() if isinstance(labels, dict) else ()
    kept = tuple((str(key), value) for key, value in pairs if isinstance(value, str))
    architecture = document.get("architecture")
    return Config(tuple(env.items()), kept[:1000], architecture if isinstance(architecture, str) else "")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _json(body: bytes, named: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ImageError(f"{named}: what the registry sent is no manifest (no JSON object)")
    return document
