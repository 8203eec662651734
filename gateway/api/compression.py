"""Which answers are sent compressed, and their ETags then."""

from __future__ import annotations

import gzip
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

from gateway.api.messages import Reply

SHORTEST = 1400
"""Bytes: what fits into one packet is sent as it is."""
SHORTEST_STRONG = 16 * 1024
"""Of an answer with a strong ETag, which compressing would weaken: one job is sent as it is."""
LONGEST = 16 * 1024 * 1024
"""Bytes: what is larger is not held twice."""
LEVEL = 5
KEPT = 64
KEPT_BYTES = 512 * 1024
_KINDS = frozenset({"application/json", "application/problem+json", "text/plain", "text/html", "text/csv"})


class Compressor:
    """Compresses whole answers; those that are sent again and again are compressed once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    def apply(self, reply: Reply, accept_encoding: str) -> Reply:
        """Return the answer as it is sent to a client that accepts these encodings.

        Streams, ranges, attachments and what is compressed already stay as they are. A strong ETag names bytes: that of
        a compressed answer is weak, as a reverse proxy would make it.
        """
        if not may_compress(reply):
            return reply
        headers = {**reply.headers, "Vary": _with(reply.headers.get("Vary"), "Accept-Encoding")}
        if not accepts_gzip(accept_encoding):
            return replace(reply, headers=headers)
        assert isinstance(reply.content, bytes)
        etag = headers.get("ETag")
        if etag is not None and not etag.startswith("W/"):
            headers["ETag"] = f"W/{etag}"
        headers["Content-Encoding"] = "gzip"
        headers.pop("Content-Length", None)
        return Reply(reply.status, headers, self._packed(reply.content))

    def _packed(self, content: bytes) -> bytes:
        if len(content) > KEPT_BYTES:
            return gzip.compress(content, LEVEL, mtime=0)
        found = self._kept.get(content)
        if found is None:
            found = self._kept[content] = gzip.compress(content, LEVEL, mtime=0)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(content)
        return found


def may_compress(reply: Reply) -> bool:
    """Say whether an answer is of a kind that is compressed where the client wants it."""
    shortest = SHORTEST_STRONG if reply.headers.get("ETag", "").startswith('"') else SHORTEST
    if not isinstance(reply.content, bytes) or not shortest <= len(reply.content) <= LONGEST:
        return False
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    fixed = {"Content-Encoding", "Content-Range", "Accept-Ranges", "Content-Disposition"} & reply.headers.keys()
    return kind in _KINDS and not fixed and reply.status != 206


def accepts_gzip(header: str) -> bool:
    """Say whether ``Accept-Encoding`` allows gzip (RFC 9110, 12.5.3)."""
    wishes = dict(_wish(part) for part in header.lower().split(",") if part.strip())
    return wishes.get("gzip", wishes.get("x-gzip", wishes.get("*", 0.0))) > 0


def _wish(part: str) -> tuple[str, float]:
    name, _, parameter = part.strip().partition(";")
    key, _, value = parameter.strip().partition("=")
    try:
        weight = float(value) if key.strip() == "q" else 1.0
    except ValueError:
        weight = 0.0
    return name.strip(), weight


def _with(vary: str | None, name: str) -> str:
    return f"{vary}, {name}" if vary else name


def plain_etags(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request with ``If-Match`` as the functions know it: without the mark of a weak ETag."""
    found = dict(headers)
    if "if-match" in found:
        found["if-match"] = found["if-match"].strip().removeprefix("W/")
    return found
