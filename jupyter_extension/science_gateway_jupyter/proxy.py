"""The gateway's API below Jupyter's address: every request is sent on, every answer comes back, as they flow."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from gateway.api.incoming import IncomingBody
from gateway.api.messages import PROBLEM
from gateway.errors import GatewayError
from science_gateway_jupyter.base import RESOURCE, GatewayHandler
from science_gateway_jupyter.errors import GatewayAway, UnexpectedAnswer
from science_gateway_jupyter.passing import API, answer_headers, passed_address, request_headers
from science_gateway_jupyter.remote import RemoteGateway

if TYPE_CHECKING:
    from science_gateway_jupyter.app import Shared

SEND_STALL = 600.0
"""Seconds in which a browser has to take a piece of an answer."""


@web.stream_request_body
class ProxyHandler(GatewayHandler):
    """Sends requests on to the gateway.

    Bodies are not kept: their pieces go on as they come, no faster than the other side takes them, both ways.
    """

    def initialize(self, shared: Shared) -> None:
        """Take what all handlers share."""
        super().initialize(shared)
        self._incoming: IncomingBody | None = None
        self._sender: asyncio.Task[None] | None = None
        self._gone = False

    async def prepare(self) -> None:  # type: ignore[override]
        """Let in whoever may ask; where a body follows, begin to send it on."""
        await super().prepare()
        if self._finished or {"Content-Length", "Transfer-Encoding"}.isdisjoint(self.request.headers):
            return
        if self.request.method in ("POST", "PUT", "PATCH", "DELETE"):
            await self.check_allowed("write")
            self._incoming = IncomingBody()
            self._begin()

    async def data_received(self, chunk: bytes) -> None:
        """Hand a piece of the body on; throw it away where nobody wants it."""
        if self._incoming is not None:
            await self._incoming.put(chunk)

    def on_connection_close(self) -> None:
        """Let go of the gateway when the browser has gone."""
        super().on_connection_close()
        self._gone = True
        if self._incoming is not None:
            self._incoming.break_off()
        if self._sender is not None:
            self._sender.cancel()

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self, _path: str) -> None:
        """Send a question on."""
        await self._pass_on()

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def head(self, _path: str) -> None:
        """Send a question on whose answer has no body."""
        await self._pass_on()

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def post(self, _path: str) -> None:
        """Send a change on."""
        await self._pass_on()

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def put(self, _path: str) -> None:
        """Send a change on."""
        await self._pass_on()

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def patch(self, _path: str) -> None:
        """Send a change on."""
        await self._pass_on()

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def delete(self, _path: str) -> None:
        """Send a change on."""
        await self._pass_on()

    async def _pass_on(self) -> None:
        if self._incoming is not None:
            await self._incoming.end()
        sender = self._sender or self._begin()
        if self._gone:
            sender.cancel()
        try:
            await sender
        except (asyncio.CancelledError, StreamClosedError):
            if not self._gone:
                raise
            self._drop()
        except (GatewayError, TimeoutError) as error:
            if not self._headers_written:
                raise
            # The status is sent already: a connection that breaks is the only honest end.
            self.log.info("an answer of the gateway broke off: %s", error)
            self._drop()

    def _begin(self) -> asyncio.Task[None]:
        self._sender = asyncio.create_task(self._send_on(), name="science gateway request")
        if self._incoming is not None:
            self._sender.add_done_callback(self._incoming.read_no_more)
        self._sender.add_done_callback(_looked_at)
        return self._sender

    async def _send_on(self) -> None:
        path = API + self.request.path.removeprefix(self.shared.root + API)
        address = passed_address(path, self.request.query)
        upstream = await self.shared.mode.upstream()
        headers = request_headers(self.request.headers)
        body = aiter(self._incoming) if self._incoming is not None else None
        method = self.request.method or ""
        async with self.shared.sender.answer(upstream, method, address, headers, body) as response:
            self._check(response)
            await self._answer(response)

    def _check(self, response: httpx.Response) -> None:
        """Raise unless an answer is one that a gateway gives, and that the browser may have."""
        status = response.status_code
        if 300 <= status < 400 and status != 304:
            raise UnexpectedAnswer(f"the gateway answered with a redirect ({status}), and none is followed")
        if status < 400:
            return
        if status == 401 and isinstance(self.shared.mode, RemoteGateway):
            raise self.shared.mode.refused()
        if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() != PROBLEM:
            text = f"something before the gateway answered with {status}"
            raise GatewayAway(text) if status in (502, 503, 504) else UnexpectedAnswer(text)

    async def _answer(self, response: httpx.Response) -> None:
        self.set_status(response.status_code)
        self.clear_header("Content-Type")
        for name, value in answer_headers(response.headers.raw, self.shared.root).items():
            self.set_header(name, value)
        if self.request.method == "HEAD" or response.status_code in (204, 304):
            if response.status_code in (204, 304):
                self.clear_header("Content-Length")
            await self.finish()
            return
        await self.flush()
        async for piece in response.aiter_raw():  # as they are on the wire, compressed or not
            self.write(piece)
            async with asyncio.timeout(SEND_STALL):
                await self.flush()
        await self.finish()

    def _drop(self) -> None:
        connection: Any = self.request.connection
        stream = getattr(connection, "stream", None)
        if stream is not None:
            stream.close()
        self._finished = True


def _looked_at(task: asyncio.Task[None]) -> None:
    """Take note of an error that nobody waits for any more, because the browser has gone."""
    if not task.cancelled():
        task.exception()
