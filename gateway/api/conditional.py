"""Byte ranges and conditional requests (RFC 9110). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from gateway.errors import RangeNotSatisfiable

_SINGLE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*\Z", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class ByteRange:
    """Bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.last - self.first + 1

    def content_range(self, size: int) -> str:
        """Return the header ``Content-Range``."""
        return f"bytes {self.first}-{self.last}/{size}"


def http_date(moment: datetime) -> str:
    """Return a moment as headers write it."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def not_modified(headers: Mapping[str, str], etag: str, modified_at: datetime | None) -> bool:
    """Say whether the reader has the current bytes already."""
    if "if-none-match" in headers:
        return has_etag(headers, etag)
    since = _date(headers.get("if-modified-since"))
    return since is not None and modified_at is not None and modified_at.replace(microsecond=0) <= since


def has_etag(headers: Mapping[str, str], etag: str) -> bool:
    """Say whether ``If-None-Match`` names `etag` (weakly, as RFC 9110 has it), or anything by ``*``."""
    tags = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags


def chosen_range(headers: Mapping[str, str], size: int, etag: str) -> ByteRange | None:
    """Return the part that is asked for; None for the whole.

    What is not one range of bytes is passed over, as is a range of an older version (``If-Range``; dates count for
    nothing: two versions can be of one second).

    Raises
    ------
    RangeNotSatisfiable
        The range begins behind the end.
    """
    match = _SINGLE.match(headers.get("range", "").strip())
    if match is None or (not match[1] and not match[2]):
        return None
    condition = headers.get("if-range")
    if condition is not None and condition.strip() != etag:
        return None
    if not match[1]:
        first, last = size - min(int(match[2]), size), size - 1
        satisfiable = int(match[2]) > 0 and size > 0
    else:
        first = int(match[1])
        last = min(int(match[2]), size - 1) if match[2] else size - 1
        if match[2] and int(match[2]) < first:
            return None
        satisfiable = first < size
    if not satisfiable:
        raise RangeNotSatisfiable(f"the file has {size} bytes")
    return ByteRange(first, last)


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
