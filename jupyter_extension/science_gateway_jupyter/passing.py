"""What may pass between the browser and the gateway: paths, parameters, headers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from gateway.errors import FieldError, InvalidRequest

API = "/api/v1"
"""Where the gateway's addresses begin (`gateway.jobs.views.API`, which takes long to import)."""
REQUEST_HEADERS = (
    "Accept",
    "Accept-Encoding",
    "Content-Length",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Range",
    "Upload-Digest",
    "Upload-Length",
    "Upload-Offset",
    "X-Request-ID",
)
"""Of a request; nothing else of the browser reaches the gateway: no cookie, no token of Jupyter's, no address."""

ANSWER_HEADERS = (
    "Accept-Ranges",
    "Allow",
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Last-Modified",
    "Location",
    "Retry-After",
    "Upload-Offset",
    "Vary",
    "X-Log-Offset",
    "X-Log-Size",
    "X-Request-ID",
)
"""Of an answer; nothing else of the gateway reaches the browser: no cookie, no policy of another origin."""

SAFE_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Of every answer, whatever the gateway sent: its bytes come from Jupyter's own origin here, and must never run."""

OWN_PARAMETERS = frozenset({"token", "_xsrf", "no_track_activity"})
"""Query parameters that are meant for the Jupyter server."""

LONGEST_ADDRESS = 16 * 1024
_PATH = re.compile(re.escape(API) + r"/[!-\"$-;=@-\[\]-~]+\Z")
"""Printable ASCII without ``#``, ``<``, ``>``, ``?`` and backslash."""
_QUERY = re.compile(r"[!\"$-;=?-\[\]-~]*\Z")
_CACHE_BUSTER = re.compile(r"[0-9]+\Z")
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_STREAMS = re.compile(
    rf"{re.escape(API)}/(?:events|jobs/{_UUID}/(?:events|logs/(?P<log>[a-z]+)|data/(?P<series>[^/]+)))\Z"
)
_LAYERS = 8


def refuse(detail: str) -> InvalidRequest:
    """Return the error of an address that does not pass."""
    return InvalidRequest([FieldError("#", detail)], detail)


def passed_path(path: str) -> str:
    """Return the address as it is sent on, with all its percent signs.

    Raises
    ------
    InvalidRequest
        It is not below the API, or has parts (``..``, also in disguise) that could lead elsewhere.
    """
    if not _PATH.match(path):
        raise refuse("the address is not one of the gateway's API")
    plain = path
    for _ in range(_LAYERS):
        if not {".", ".."}.isdisjoint(re.split(r"[/\\]", plain)):
            raise refuse("the address must not have the parts '.' and '..'")
        plain = unquote(plain)
    return path


def passed_query(query: str) -> str:
    """Return the query without what is meant for the Jupyter server, and without JupyterLab's number against caches.

    Raises
    ------
    InvalidRequest
        It has characters that no query has.
    """
    if not _QUERY.match(query):
        raise refuse("the query has characters that must be percent-encoded")
    kept = [
        pair
        for pair in query.split("&")
        if pair and not _CACHE_BUSTER.match(pair) and unquote(pair.partition("=")[0]) not in OWN_PARAMETERS
    ]
    return "&".join(kept)


def passed_address(path: str, query: str) -> str:
    """Return path and query as they are sent on; raises `InvalidRequest`."""
    if len(path) + len(query) > LONGEST_ADDRESS:
        raise refuse("the address is too long")
    wanted = passed_query(query)
    return passed_path(path) + (f"?{wanted}" if wanted else "")


def stream_address(address: object) -> str:
    """Return the address of something that streams, for the one connection of a page.

    Raises
    ------
    InvalidRequest
        It is none of the four kinds of streams.
    """
    if not isinstance(address, str) or len(address) > 4096:
        raise refuse("the path must be text")
    path, _, query = address.partition("?")
    found = _STREAMS.match(passed_path(path))
    if found is None:
        raise refuse("only events, logs and data series are streamed")
    wanted = passed_query(query)
    if (found["log"] or found["series"]) and not re.search(r"(?:^|&)follow=(?:true|1)(?:&|\Z)", wanted):
        raise refuse("a log or a data series is streamed with follow=true")
    return path + (f"?{wanted}" if wanted else "")


def request_headers(given: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request that are sent on."""
    found = {name: given[name] for name in REQUEST_HEADERS if name in given}
    found.setdefault("Accept-Encoding", "identity")
    return found


def answer_headers(raw: Iterable[tuple[bytes, bytes]], root: str) -> dict[str, str]:
    """Return the headers of an answer that the browser gets.

    Parameters
    ----------
    root
        Where the gateway's addresses begin here: what a relative ``Location`` is put below; others are left out.
    """
    names = {name.lower(): name for name in ANSWER_HEADERS}
    found: dict[str, str] = {}
    for key, value in raw:
        name = names.get(key.decode("latin-1").lower())
        text = value.decode("latin-1")
        if name is not None and not re.search(r"[\x00-\x1f\x7f]", text):
            found[name] = text
    if "Location" in found:
        location = found.pop("Location")
        if location.startswith(f"{API}/"):
            found["Location"] = root + location
    return found | SAFE_HEADERS
