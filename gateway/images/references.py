"""References to container images, as people write them: which scheme, which registry, which name, tag and digest.

``docker://alpine:3.20``, ``oras://registry.example.org/tools/fsl:6``, ``library://user/collection/image:tag``,
``https://…``, ``s3://``, ``swift://`` and ``azure://`` (see `gateway.images.objects`), ``file:///path``,
``cvmfs:///repository/path``, ``/path`` and ``built:name``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Scheme = Literal[
    "https", "http", "docker", "oras", "library", "s3", "swift", "azure", "store", "file", "cvmfs", "path", "built"
]

DOCKER_HUB = "docker.io"
LIBRARY = "library.sylabs.io"
REGISTRIES = frozenset({"docker", "oras"})
"""Schemes of OCI registries."""
OBJECTS = frozenset({"s3", "swift", "azure", "store"})
"""Schemes of objects in stores that the configuration names."""
FORMS = (
    "docker://name:tag, oras://registry/name:tag, library://user/collection/name:tag, https://…, s3://bucket/key, "
    "swift://container/object, azure://container/blob, store://store/path, file:///path, cvmfs:///repository/path or "
    "/path on the target"
)

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:]{2,39}\])(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_REGISTRY = re.compile(rf"{_HOST}\Z")
_BUILT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_LIBRARY_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")
_LIBRARY_TAG = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|sha256\.[0-9a-f]{64})\Z")
_BAD = re.compile(r"[\x00-\x20\x7f\"\\]")
MAX_LENGTH = 2048
MAX_NAME = 255


class BadReference(ValueError):
    """A reference is none; the sentence says what it must be."""


@dataclass(frozen=True)
class ImageReference:
    """A reference, taken apart.

    Attributes
    ----------
    text
        As it was written.
    host
        The registry or server, with its port; of a store's object the bucket, container or store.
    name
        The repository, path or object; without tag and digest.
    tag
        None where there is none (or a digest takes its place).
    digest
        ``sha256:…`` of the manifest, as the reference pins it.
    """

    scheme: Scheme
    text: str
    host: str
    name: str
    tag: str | None = None
    digest: str | None = None

    @property
    def in_registry(self) -> bool:
        """Whether it lies in an OCI registry."""
        return self.scheme in REGISTRIES

    @property
    def plain(self) -> str:
        """The same in its full form: two references to one thing have one."""
        if not self.in_registry:
            return self.text
        which = f"@{self.digest}" if self.digest else f":{self.tag}"
        return f"{self.scheme}://{self.host}/{self.name}{which}"

    def pinned(self, digest: str) -> str:
        """Return the reference with a manifest's digest in the place of its tag."""
        return f"{self.scheme}://{self.host}/{self.name}@{digest}"

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Read a reference.

        Raises
        ------
        BadReference
            It is none; says what works instead.
        """
        if not text or len(text) > MAX_LENGTH or _BAD.search(text):
            raise BadReference(f"must be one of: {FORMS}; without spaces, quotes and backslashes")
        if text.startswith("/"):
            return cls("path", text, "", _absolute(text))
        scheme, colon, rest = text.partition(":")
        reader = _READERS.get(scheme.lower()) if colon else None
        if reader is None:
            raise BadReference(_unknown(text, scheme.lower() if colon else ""))
        return reader(text, rest)


def _unknown(text: str, scheme: str) -> str:
    if scheme == "shub":
        return (
            "shub:// (Singularity Hub) was closed in 2021: give an https:// address of the image, or oras:// or "
            "docker:// where it lies now"
        )
    if "://" not in text and re.match(rf"{_PART}(?:[/:@].*)?\Z", text):
        return f"must say where it comes from, such as docker://{text[:200]}; possible are {FORMS}"
    return f"is not an image reference that this gateway can fetch; possible are {FORMS}"


def _absolute(path: str) -> str:
    if not path.startswith("/") or path.endswith("/") or {"..", "."} & set(path.split("/")):
        raise BadReference("must name a file by its absolute path, without '..'")
    return path


def _web(text: str, rest: str) -> ImageReference:
    match = re.match(rf"//({_HOST})/([^#]+)\Z", rest)
    if match is None:
        raise BadReference("must be an address such as https://host/image.sif, without a user name or a password in it")
    return ImageReference("https" if text.lower().startswith("https") else "http", text, match[1], match[2])


def _registry(text: str, rest: str) -> ImageReference:
    scheme: Literal["docker", "oras"] = "docker" if text.lower().startswith("docker") else "oras"
    if not rest.startswith("//") or len(rest) == 2:
        raise BadReference(f"must be such as {scheme}://registry.example.org/name:tag")
    path, at, digest = rest[2:].partition("@")
    host, path = _split_host(path, scheme)
    name, colon, tag = path.partition(":")
    if at and not _DIGEST.match(digest):
        raise BadReference("must have a digest such as @sha256:<64 hexadecimal digits>, or none")
    if colon and not _TAG.match(tag):
        raise BadReference(f"has a tag that cannot be one: {tag[:100]!a}")
    if not _NAME.match(name) or len(name) > MAX_NAME:
        raise BadReference(f"has a name that cannot be one: {name[:100]!a} (lower case, such as tools/fsl)")
    return ImageReference(scheme, text, host, name, None if at else tag or "latest", digest or None)


def _split_host(path: str, scheme: str) -> tuple[str, str]:
    """Tell the registry from the name, as docker does: its first part has a dot or a port, or is localhost."""
    first, slash, rest = path.partition("/")
    if slash and (re.search(r"[.:\[]", first) or first == "localhost"):
        if not _REGISTRY.match(first):
            raise BadReference(f"names a registry that cannot be one: {first[:100]!a}")
        host = first.lower()
        if host in {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}:
            host = DOCKER_HUB
        return host, f"library/{rest}" if host == DOCKER_HUB and "/" not in rest else rest
    if scheme == "oras":
        raise BadReference("must name its registry, such as oras://registry.example.org/name:tag")
    return DOCKER_HUB, path if slash else f"library/{path}"


def _library(text: str, rest: str) -> ImageReference:
    path = rest.removeprefix("//").strip("/")
    host = LIBRARY
    parts = path.split("/")
    if len(parts) == 4:
        host, parts = parts[0].lower(), parts[1:]
    if not 1 <= len(parts) <= 3 or not _REGISTRY.match(host):
        raise BadReference("must be such as library://user/collection/name:tag")
    parts = ["library", "default"][: 3 - len(parts)] + parts if len(parts) < 3 else parts
    last, _, tag = parts[-1].partition(":")
    if not all(_LIBRARY_PART.match(part) for part in (*parts[:-1], last)) or not _LIBRARY_TAG.match(tag or "latest"):
        raise BadReference("must be such as library://user/collection/name:tag")
    return ImageReference("library", text, host, "/".join([*parts[:-1], last]), tag or "latest")


def _object(text: str, rest: str) -> ImageReference:
    scheme = text.partition(":")[0].lower()
    place, _, key = rest.removeprefix("//").partition("/")
    if not rest.startswith("//") or not _BUCKET.match(place) or not key:
        first = {"s3": "bucket", "store": "store"}.get(scheme, "container")
        raise BadReference(f"must be such as {scheme}://{first}/folder/image.sif")
    if any(part in {"", ".", ".."} for part in key.split("/")) or re.search(r"[?#@:,]", key):
        raise BadReference("must name an object without '..', empty parts and the characters ? # @ : ,")
    kinds: dict[str, Scheme] = {"s3": "s3", "swift": "swift", "azure": "azure", "store": "store"}
    return ImageReference(kinds[scheme], text, place, key)


def _file(text: str, rest: str) -> ImageReference:
    path = rest.removeprefix("//") if rest.startswith("///") else rest
    if not re.match(r"/[^/]", path):
        raise BadReference("must be such as file:///folder/image.sif: a file of the target")
    return ImageReference("file", text, "", _absolute(path))


def _cvmfs(text: str, rest: str) -> ImageReference:
    path = rest.lstrip("/").removeprefix("cvmfs/")
    if "/" not in path:
        raise BadReference("must be such as cvmfs:///repository.example.org/folder/image.sif")
    return ImageReference("cvmfs", text, path.partition("/")[0], _absolute(f"/cvmfs/{path}"))


def _built(text: str, rest: str) -> ImageReference:
    if not _BUILT.match(rest):
        raise BadReference("must be built: and the name of an image that this gateway built")
    return ImageReference("built", text, "", rest)


_READERS = {
    "https": _web,
    "http": _web,
    "docker": _registry,
    "oras": _registry,
    "library": _library,
    "s3": _object,
    "swift": _object,
    "azure": _object,
    "store": _object,
    "file": _file,
    "cvmfs": _cvmfs,
    "built": _built,
}
