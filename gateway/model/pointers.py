"""JSON pointers, which name a place in a request. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, unquote


def pointer(parts: Iterable[str | int]) -> str:
    """Return a JSON pointer as a URI fragment (RFC 6901), such as ``#/stores/0/path``."""
    escaped = (str(part)[:200].replace("~", "~0").replace("/", "~1") for part in parts)
    return "#" + "".join("/" + quote(part, safe="!$&'()*+,;=:@~", errors="replace") for part in escaped)


def parts_of(text: str) -> list[str]:
    """Return the parts of a pointer that `pointer` wrote."""
    escaped = text.removeprefix("#").split("/")[1:]
    return [unquote(part).replace("~1", "/").replace("~0", "~") for part in escaped]
