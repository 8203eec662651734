"""Reads a part of an image from an address that a person gave, and believes nothing of what is answered."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from urllib.parse import urlsplit

import httpx

from gateway.errors import UrlError, UrlUnreachable
from gateway.urls import UrlOpener

CHUNK = 1024 * 1024
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})\Z")


async def stream_range(opener: UrlOpener, url: str, offset: int, length: int, size: int) -> AsyncIterator[bytes]:
    """Yield `length` bytes from `offset` of a file of `size` bytes; all of them, or it raises.

    Raises
    ------
    UrlUnreachable
        Trying again may help.
    UrlError
        The server has no such file, not one of this size, or cannot give a part of it.
    """
    host = urlsplit(url).netloc
    headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
    async with opener.follow(url, headers) as response:
        _check(host, response, offset, length, size)
        got = 0
        async with aclosing(response.aiter_raw(CHUNK)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                piece = chunk[: length - got]
                got += len(piece)
                yield piece
                if got == length:
                    return
        raise UrlUnreachable(f"{host}: the connection ended after {got} of {length} bytes")


def _check(host: str, response: httpx.Response, offset: int, length: int, size: int) -> None:
    status = response.status_code
    if status in (401, 403):
        raise UrlError(f"{host}: the file may not be read without a login (status {status})")
    if status in _TEMPORARY:
        raise UrlUnreachable(f"{host}: the server answered with status {status}")
    if status == 206:
        match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != offset or int(match[2]) != offset + length - 1:
            raise UrlError(f"{host}: the server gave another part of the file than the one it was asked for")
        if int(match[3]) != size:
            raise UrlError(f"{host}: the file there has {match[3]} bytes, not {size}")
        return
    if status == 416:
        raise UrlError(f"{host}: the file there is shorter than {size} bytes")
    if status != 200:
        raise UrlError(f"{host}: the server answered with status {status}")
    if response.headers.get("Content-Length", "") not in ("", str(size)):
        raise UrlError(f"{host}: the file there has {response.headers['Content-Length'][:20]} bytes, not {size}")
    if offset:
        raise UrlError(f"{host}: the server gives whole files only, no parts of them")
