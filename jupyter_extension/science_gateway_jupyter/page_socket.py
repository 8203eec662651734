"""The one connection of a page for everything that streams."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from gateway import __version__
from gateway.errors import Conflict, FieldError, GatewayError, InvalidRequest
from science_gateway_jupyter.base import RESOURCE
from science_gateway_jupyter.errors import GatewayAway, GatewayFailed, GatewayStarting, TokenNeeded
from science_gateway_jupyter.passing import stream_address
from science_gateway_jupyter.remote import RemoteGateway
from science_gateway_jupyter.streams import Content, messages, problem_of

if TYPE_CHECKING:
    from science_gateway_jupyter.app import Shared

log = logging.getLogger(__name__)

MOST_STREAMS = 32
LONGEST_MESSAGE = 16 * 1024
BEAT = 15.0
"""Seconds between two signs of life of the server's."""
SILENCE = 45.0
"""Seconds without a sign of life of the gateway's on a stream that has them, after which it counts as away."""
PING = 30.0
TRY_AGAIN_LATER = 1013
POLICY = 1008
_PASSING = (GatewayAway, GatewayStarting, GatewayFailed, TokenNeeded)
"""What may be well again later: the page comes back, and goes on where it was."""


class SocketHandler(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """Opens and closes streams of the gateway for one page.

    The page's streams share one connection, and are read no faster than the page takes them. When the gateway is lost
    the connection is closed: the page connects again, with its pauses, and asks for what comes after the last it has.
    """

    def initialize(self, shared: Shared) -> None:
        """Take what all handlers share."""
        self.shared = shared
        self._streams: dict[int, asyncio.Task[None]] = {}
        self._work: asyncio.Task[None] | None = None

    @property
    def ping_interval(self) -> float:
        """Seconds between two pings."""
        return PING

    @property
    def ping_timeout(self) -> float:
        """Seconds after which a page that does not answer a ping counts as gone."""
        return PING

    @ws_authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Begin the connection."""
        await super().get(*args, **kwargs)

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Begin to work for the page."""
        # Not Jupyter's, whose pings are Tornado's with other units.
        self.shared.sockets.add(self)
        self._work = asyncio.create_task(self._greet_and_beat(), name="science gateway socket")

    async def on_message(self, message: str | bytes) -> None:
        """Open or close a stream; a page that says anything else is sent away."""
        try:
            asked = _read(message)
        except InvalidRequest as error:
            self.close(POLICY, error.message[:100])
            return
        if "close" in asked:
            if task := self._streams.pop(asked["close"], None):
                task.cancel()
            return
        number = asked["open"]
        if number in self._streams or len(self._streams) >= MOST_STREAMS:
            full = f"at most {MOST_STREAMS} streams are open at once, each with a number of its own"
            await self._say({"stream": number, "problem": problem_of(Conflict(full))})
            return
        task = asyncio.create_task(self._stream(number, asked.get("path")), name="science gateway stream")
        self._streams[number] = task
        task.add_done_callback(lambda ended: self._forget(number, ended))

    def on_close(self) -> None:
        """Let go of the gateway."""
        self.shared.sockets.discard(self)
        for task in (*self._streams.values(), *([self._work] if self._work else [])):
            task.cancel()
        super().on_close()

    async def _greet_and_beat(self) -> None:
        """Say hello once there is a gateway, and then that the connection lives."""
        try:
            await self.shared.mode.check()
        except GatewayError as error:
            self._lose(error)
            return
        await self._say({"hello": {"version": __version__}})
        while True:
            await asyncio.sleep(BEAT)
            await self._say({"beat": True})

    async def _stream(self, number: int, path: object) -> None:
        try:
            address = stream_address(path)
            upstream = await self.shared.mode.upstream()
            silence = None if "/logs/" in address else SILENCE
            headers = {"Accept": "text/event-stream, text/plain", "Accept-Encoding": "identity"}
            async with self.shared.sender.answer(upstream, "GET", address, headers, silence=silence) as response:
                if response.status_code == 401 and isinstance(self.shared.mode, RemoteGateway):
                    raise self.shared.mode.refused()
                async with aclosing(messages(response)) as found:
                    async for message in found:
                        await self._say({"stream": number, **message})
        except _PASSING as error:
            self._lose(error)
        except GatewayError as error:
            await self._say({"stream": number, "problem": problem_of(error)})

    async def _say(self, content: Content) -> None:
        """Send a message, and wait until the page's connection has taken it."""
        try:
            await self.write_message(json.dumps(content, ensure_ascii=False, separators=(",", ":")))
        except WebSocketClosedError:
            self.on_close()

    def _lose(self, error: GatewayError) -> None:
        log.info("a page is asked to come back: %s", error.message)
        self.close(TRY_AGAIN_LATER, error.problem)

    def _forget(self, number: int, task: asyncio.Task[None]) -> None:
        if self._streams.get(number) is task:
            del self._streams[number]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a stream failed", exc_info=error)
            self.close(TRY_AGAIN_LATER, "internal")


def _read(message: str | bytes) -> dict[str, Any]:
    """Return what a page asks for; raises `InvalidRequest`."""
    wrong = InvalidRequest([FieldError("#", 'must be {"open": number, "path": "…"} or {"close": number}')])
    if not isinstance(message, str) or len(message) > LONGEST_MESSAGE:
        raise wrong
    try:
        asked = json.loads(message)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(asked, dict) or set(asked) not in ({"open", "path"}, {"close"}):
        raise wrong
    number = asked.get("open", asked.get("close"))
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**53:
        raise wrong
    return asked
