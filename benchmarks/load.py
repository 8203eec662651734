"""Clients that send one HTTP request again and again, as light as Python allows: the server is the slow part."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Client(asyncio.Protocol):
    """One connection that sends its next request when the answer to the last is whole."""

    def __init__(self, sent: bytes, share: int, done: asyncio.Future[None]) -> None:
        self.sent, self.left, self.done = sent, share, done
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.sent)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self.buffer, 0, end + 2)
        if length is None or self.buffer[9:10] != b"2":
            self.fail(self.buffer[:2000].decode(errors="replace"))
        elif len(self.buffer) >= end + 4 + int(length[1]):
            self.buffer = b""
            self.left -= 1
            if self.left:
                self.transport.write(self.sent)
            else:
                self.transport.close()

    def fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))
        self.transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.done.done():
            if self.left:
                self.fail(f"the server ended the connection with {self.left} requests to go")
            else:
                self.done.set_result(None)


async def send(port: int, sent: bytes, *, count: int, clients: int) -> float:
    """Send `count` requests by `clients` connections at once; return the seconds until the last answer.

    Raises
    ------
    RuntimeError
        An answer was not 2xx.
    """
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(clients)]
    begin = time.perf_counter()
    for number, future in enumerate(futures):
        share = count // clients + (number < count % clients)
        await loop.create_connection(lambda s=share, f=future: _Client(sent, s, f), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*futures)
    return time.perf_counter() - begin
