"""Images of Singularity's library (``library://``): SIF files; which one a tag means is all that is to be found out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import quote

from gateway.errors import ImageError
from gateway.images.references import ImageReference
from gateway.images.registry import RegistryClient

MAX_ANSWER = 256 * 1024
_HASH = re.compile(r"sha256\.([0-9a-f]{64})\Z")


@dataclass(frozen=True)
class LibraryImage:
    """What a tag of the library means: the digest of the SIF file, and its bytes where they are said."""

    digest: str
    size: int | None


async def find(client: RegistryClient, reference: ImageReference, architecture: str) -> LibraryImage:
    """Ask the library what a tag means.

    Raises
    ------
    UrlUnreachable
        Trying again may help.
    ImageError, UrlError, ConfigurationError
    """
    path = f"/v1/images/{quote(reference.name)}:{reference.tag}?arch={architecture}"
    body = await client.document(reference.host, path, reference.text, MAX_ANSWER)
    try:
        data = json.loads(body)["data"]
        match = _HASH.match(data["hash"])
        size = data.get("size")
    except (ValueError, KeyError, TypeError, RecursionError):
        match, size = None, None
    if match is None:
        raise ImageError(f"{reference.text}: {reference.host} does not say which file it is")
    return LibraryImage(f"sha256:{match[1]}", size if isinstance(size, int) and size >= 0 else None)


def address(base: str, reference: ImageReference, digest: str, architecture: str) -> str:
    """Return where nodes get the very file."""
    which = f"sha256.{digest.removeprefix('sha256:')}"
    return f"{base}/v1/imagefile/{quote(reference.name)}:{which}?arch={architecture}"
