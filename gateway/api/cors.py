"""Cross-origin requests (the Fetch standard): which web pages may use the API from a browser. Pure.

Only the configured origins, and never with cookies: the API knows none, so no answer allows credentials.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gateway.api.messages import Reply

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_SENT = (
    "Authorization, Content-Type, Accept, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, Range, "
    "Upload-Digest, Upload-Length, Upload-Offset, X-Request-ID"
)
_SHOWN = (
    "ETag, Location, Retry-After, Content-Range, Accept-Ranges, Content-Disposition, X-Request-ID, X-Log-Offset, "
    "Upload-Offset, Upload-Length"
)
_AGE = "600"


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Say whether a browser asks in advance what a page may send."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def answer_headers(origins: Collection[str], headers: Mapping[str, str]) -> dict[str, str]:
    """Return what lets the page that asks read the answer; nothing for pages that are not allowed to."""
    if not origins:
        return {}
    found = {"Vary": "Origin"}
    origin = headers.get("origin", "").lower()
    if origin in origins:
        found |= {"Access-Control-Allow-Origin": headers["origin"], "Access-Control-Expose-Headers": _SHOWN}
    return found


def preflight(origins: Collection[str], headers: Mapping[str, str]) -> Reply | None:
    """Return the answer to a preflight; None where the page may not use the API."""
    if headers.get("origin", "").lower() not in origins:
        return None
    allowed = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _SENT,
        "Access-Control-Max-Age": _AGE,
    }
    return Reply(204, allowed)
