"""A TCP proxy of the tests' own: the network between gateway and sshd, as bad as a test wants it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

_PIECE = 16 * 1024


@dataclass(frozen=True)
class Weather:
    """What the network does to every connection from now on.

    Attributes
    ----------
    refuse
        New connections are refused.
    silent
        Bytes are taken and never delivered, in both directions: a black hole.
    latency
        Seconds that each piece of bytes takes.
    rate
        Bytes a second and direction; None without a limit.
    reset_after
        A connection is reset (RST) once so many bytes came from the server, counted from now on or from its start.
    truncate_after
        The server's answer ends (FIN) after so many bytes.
    """

    refuse: bool = False
    silent: bool = False
    latency: float = 0.0
    rate: float | None = None
    reset_after: int | None = None
    truncate_after: int | None = None


FAIR = Weather()


@dataclass(eq=False)
class _Link:
    """One connection: the client's side, the server's side, and what came from the server."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    received: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Proxy:
    """Forwards a port of 127.0.0.1 to another one.

    Parameters
    ----------
    port
        Where the real server listens.

    Attributes
    ----------
    port
        Where the proxy listens; the same all its life, also after `refuse`.
    connections
        How many connections were made through it.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._weather = FAIR
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self.connections = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all connections and stop listening."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def set(self, weather: Weather = FAIR, *, cut: bool = False) -> None:
        """Change the weather for all connections, and with `cut` reset those that are open."""
        self._do(self._change(weather, cut))

    def cut(self) -> None:
        """Reset all open connections; new ones are possible."""
        self._do(self._change(self._weather, cut=True))

    def adjust(self, **changes: object) -> None:
        """Change some of the weather."""
        self.set(replace(self._weather, **changes))  # type: ignore[arg-type]

    def _do(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _change(self, weather: Weather, cut: bool) -> None:
        self._weather = weather
        for link in list(self._links):
            link.received = 0
            if cut:
                _reset(link)
        if weather.refuse:
            await self._stop_listening()
        elif self._server is None:
            await self._listen()

    async def _close(self) -> None:
        await self._stop_listening()
        tasks = [task for link in self._links for task in link.tasks]
        for link in list(self._links):
            _reset(link)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = _Link(writer)
        self._links.add(link)
        try:
            answer, link.server = await asyncio.open_connection("127.0.0.1", self._target)
            link.tasks = [
                asyncio.create_task(self._forward(link, reader, link.server, from_server=False)),
                asyncio.create_task(self._forward(link, answer, writer, from_server=True)),
            ]
            await asyncio.wait(link.tasks)
        except OSError:
            _reset(link)
        finally:
            self._links.discard(link)
            for side in (link.client, link.server):
                if side is not None:
                    side.close()

    async def _forward(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, from_server: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_PIECE):
                weather = self._weather
                if weather.silent:
                    continue
                if weather.latency:
                    await asyncio.sleep(weather.latency)
                if weather.rate:
                    await asyncio.sleep(len(data) / weather.rate)
                if from_server and not self._passes(link, weather, data, sink):
                    return
                if not from_server:
                    sink.write(data)
                await sink.drain()
            with contextlib.suppress(OSError):
                sink.write_eof()

    @staticmethod
    def _passes(link: _Link, weather: Weather, data: bytes, sink: asyncio.StreamWriter) -> bool:
        """Deliver what the weather lets through; say whether the connection goes on."""
        end = link.received + len(data)
        limit = weather.reset_after if weather.reset_after is not None else weather.truncate_after
        if limit is None or end <= limit:
            sink.write(data)
            link.received = end
            return True
        sink.write(data[: max(0, limit - link.received)])
        link.received = limit
        if weather.reset_after is not None:
            _reset(link)
        else:
            sink.write_eof()
        return False


def _reset(link: _Link) -> None:
    """End both sides at once, with RST rather than FIN."""
    for side in (link.client, link.server):
        if side is None:
            continue
        sock = side.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        side.transport.abort()
