"""Clients that send one HTTP request again and again, as light as Python allows: the server is the slow part."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence

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

    def __init__(self, sent: bytes, share: int, done: asyncio.Future[None], latencies: list[float]) -> None:
        self.sent, self.left, self.done, self.latencies = sent, share, done, latencies
        self.pieces: list[bytes] = []
        self.missing: int | None = None
        self.since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def begin(self) -> None:
        """Send the next request."""
        self.since = time.perf_counter()
        self.transport.write(self.sent)

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)
        if self.missing is not None:
            self.missing -= len(data)
        else:
            head = b"".join(self.pieces)
            end = head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(head, 0, end + 2)
            if length is None or head[9:10] != b"2":
                self.fail(head[:2000].decode(errors="replace"))
                return
            self.missing = end + 4 + int(length[1]) - len(head)
        if self.missing <= 0:
            self.latencies.append(time.perf_counter() - self.since)
            self.pieces, self.missing = [], None
            self.left -= 1
            if self.left:
                self.begin()
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


async def send(
    port: int, sent: bytes | Sequence[bytes], *, count: int, clients: int, latencies: list[float] | None = None
) -> float:
    """Send `count` requests by `clients` connections, all open from the first request on; return the seconds it took.

    Parameters
    ----------
    sent
        The request; of several each connection has one, in turn.
    latencies
        Gets the seconds of each answer.

    Raises
    ------
    RuntimeError
        An answer was not 2xx.
    """
    loop = asyncio.get_running_loop()
    requests = [sent] if isinstance(sent, bytes) else sent
    futures = [loop.create_future() for _ in range(clients)]
    seen: list[float] = [] if latencies is None else latencies
    opened = []
    for number, future in enumerate(futures):
        share = count // clients + (number < count % clients)
        client = _Client(requests[number % len(requests)], share, future, seen)
        await loop.create_connection(lambda made=client: made, "127.0.0.1", port)  # type: ignore[misc]
        opened.append(client)
    begin = time.perf_counter()
    for client in opened:
        client.begin()
    await asyncio.gather(*futures)
    return time.perf_counter() - begin
