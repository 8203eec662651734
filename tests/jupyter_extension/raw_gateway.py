"""Something that listens where a gateway should, and answers byte for byte what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

ME = {"name": "alice", "role": "user", "scopes": ["read", "write"], "single": False}
TOKEN = "alices-token-for-the-gateway"


@dataclass(frozen=True)
class Asked:
    """A request as it came: `headers` by lower-case names."""

    method: str
    target: str
    headers: dict[str, str]


Answer = Callable[[Asked, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def plain(status: str, body: bytes = b"", *headers: str) -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def document(content: object, *headers: str) -> bytes:
    """Return an answer in JSON."""
    return plain("200 OK", json.dumps(content).encode(), "Content-Type: application/json", *headers)


@dataclass
class RawGateway:
    """Answers `/api/v1/me` by itself, as a gateway that knows one token; everything else as it is told.

    Attributes
    ----------
    closed
        Set when the other side has closed a connection, or let it break.
    """

    url: str = ""
    answer: bytes | Answer = b""
    asked: list[Asked] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    token: str = TOKEN

    @property
    def last(self) -> Asked:
        """The last request that was not about the person."""
        return [asked for asked in self.asked if asked.target != "/api/v1/me"][-1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                asked = _read(await reader.readuntil(b"\r\n\r\n"))
                self.asked.append(asked)
                if asked.target == "/api/v1/me":
                    good = asked.headers.get("authorization") == f"Bearer {self.token}"
                    writer.write(document(ME) if good else plain("401 Unauthorized"))
                elif callable(self.answer):
                    await self.answer(asked, reader, writer)
                else:
                    writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def _read(head: bytes) -> Asked:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines if line)
    return Asked(method, target, {name.lower(): value.strip() for name, _, value in pairs})


@contextlib.asynccontextmanager
async def raw_gateway() -> AsyncIterator[RawGateway]:
    """Listen on loopback."""
    gateway = RawGateway()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await gateway.serve(reader, writer)
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=256 * 1024)
    gateway.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield gateway
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
