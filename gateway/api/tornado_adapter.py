"""Tornado handlers made from the table of routes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from tornado import httputil, web
from tornado.iostream import StreamClosedError

from gateway.api.auth import check_host, check_token
from gateway.api.messages import (
    Malformed,
    MethodNotAllowed,
    Reply,
    Request,
    UnsupportedMediaType,
    json_reply,
    parse_json,
    problem_reply,
)
from gateway.api.route import Permission, Route
from gateway.api.routes import ROUTES
from gateway.app import Gateway
from gateway.errors import FieldError, GatewayError, InvalidRequest, NotFound, PayloadTooLarge
from gateway.jobs.pointers import invalid_query, refuse_query
from gateway.model.people import Person, Role

log = logging.getLogger(__name__)
access = logging.getLogger("gateway.access")

MAX_BODY = 16 * 1024 * 1024
MAX_DISCARDED = 8 * MAX_BODY
"""Of a body that is too large, so much is read and thrown away so that the client gets to read why."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class InternalError(GatewayError):
    """Something that the gateway did not expect; the log has the details."""


@web.stream_request_body
class ApiHandler(web.RequestHandler):
    """Serves all methods of one address.

    Parameters
    ----------
    routes
        By method; empty where the address does not exist.
    """

    def initialize(self, gateway: Gateway, token: str, routes: dict[str, Route], senders: set[Any]) -> None:
        """Take what the application gives."""
        self.gateway = gateway
        self.token = token
        self.routes = routes
        self.senders = senders
        self.request_id = secrets.token_hex(8)
        self._body = bytearray()
        self._received = 0
        self._sender: asyncio.Task[None] | None = None
        self._gone = False

    def prepare(self) -> None:
        """Allow the body to be read before it is judged."""
        connection: Any = self.request.connection
        connection.set_max_body_size(MAX_DISCARDED)

    def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the body, as long as it is not too large."""
        self._received += len(chunk)
        if self._received <= MAX_BODY:
            self._body += chunk
        else:
            self._body.clear()

    def set_default_headers(self) -> None:
        """Say nothing about the server."""
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")

    def compute_etag(self) -> str | None:
        """Leave ETags to the functions."""
        return None

    def on_connection_close(self) -> None:
        """Stop what is being sent to a client that has gone."""
        self._gone = True
        if self._sender is not None:
            self._sender.cancel()

    async def _serve(self, *parts: str) -> None:
        try:
            reply = await self._reply(parts)
        except GatewayError as error:
            reply = problem_reply(error)
            if error.status >= 500:
                log.warning("request %s: %s", self.request_id, error)
        except Exception:
            log.exception("request %s failed", self.request_id)
            text = f"the gateway failed; its log has the details under request {self.request_id}"
            reply = problem_reply(InternalError(text))
        await self._send(reply)

    get = head = post = put = patch = delete = options = _serve

    async def _reply(self, parts: Sequence[str]) -> Reply:
        check_host(self.request.headers.get("Host", ""), self.gateway.settings.gateway.listen)
        method = self.request.method or ""
        route = self.routes.get("GET" if method == "HEAD" else method)
        person = Person(self.gateway.owner, Role.ADMIN)
        if route is None or route.permission is not Permission.PUBLIC:
            check_token(_headers(self.request), self.token)
        if not self.routes:
            raise NotFound(f"there is nothing at {self.request.path[:200]!a}")
        if route is None:
            raise MethodNotAllowed(f"{method[:20]!a} is not possible here")
        if self._received > MAX_BODY:
            raise PayloadTooLarge(f"the body has more than {MAX_BODY} bytes")
        request = Request(
            method=method,
            path=dict(zip(route.parameters, parts, strict=True)),
            query=read_query(route, self.request.query),
            body=self._json(route),
            headers=_headers(self.request),
            owner=person.name,
            person=person,
        )
        answer = await route.function(self.gateway, request)
        return json_reply(answer, route.status) if isinstance(answer, BaseModel) else answer

    def _json(self, route: Route) -> Any:
        if route.request_model is None:
            return None
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise UnsupportedMediaType("send the body with 'Content-Type: application/json'")
        return parse_json(bytes(self._body))

    async def _send(self, reply: Reply) -> None:
        self.set_status(reply.status)
        for name, value in reply.headers.items():
            self.set_header(name, value)
        self.set_header("X-Request-ID", self.request_id)
        if reply.status == 405:
            allowed = sorted(set(self.routes) | ({"HEAD"} if "GET" in self.routes else set()))
            self.set_header("Allow", ", ".join(allowed))
        if reply.status in (204, 304):
            self.clear_header("Content-Type")
        if isinstance(reply.content, bytes):
            if self.request.method != "HEAD":
                if reply.content:
                    self.write(reply.content)
            elif "Content-Length" not in self._headers and reply.content:
                self.set_header("Content-Length", str(len(reply.content)))
            with contextlib.suppress(StreamClosedError):
                await self.finish()
            return
        await self._stream(reply.content)

    async def _stream(self, pieces: AsyncIterator[bytes]) -> None:
        """Send pieces as they come, no faster than they are taken; end when the client has gone."""
        self._sender = asyncio.create_task(self._send_pieces(pieces))
        self.senders.add(self._sender)
        if self._gone:
            self._sender.cancel()
        try:
            await self._sender
        except (asyncio.CancelledError, StreamClosedError):
            self._drop()
        except Exception as error:
            # The status is sent already: a connection that breaks is the only honest end.
            log.warning("request %s: the answer broke off: %s", self.request_id, error)
            self._drop()
        finally:
            self.senders.discard(self._sender)

    async def _send_pieces(self, pieces: AsyncIterator[bytes]) -> None:
        try:
            await self.flush()
            async for piece in pieces:
                self.write(piece)
                await self.flush()
            await self.finish()
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()

    def _drop(self) -> None:
        connection: Any = self.request.connection
        stream = getattr(connection, "stream", None)
        if stream is not None:
            stream.close()
        self._finished = True

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer what Tornado itself refuses (an address that is not UTF-8 …) as a problem too."""
        error: GatewayError = Malformed("the request cannot be read")
        if status_code == 405:
            error = MethodNotAllowed("this method is not possible here")
        elif status_code >= 500:
            text = f"the gateway failed; its log has the details under request {self.request_id}"
            error = InternalError(text)
        self.set_status(error.status)
        reply = problem_reply(error)
        for name, value in reply.headers.items():
            self.set_header(name, value)
        assert isinstance(reply.content, bytes)
        self.finish(reply.content)


def _headers(request: httputil.HTTPServerRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def read_query(route: Route, text: str) -> Any:
    """Type the query parameters.

    Raises
    ------
    InvalidRequest
        One is unknown, stands twice or has a wrong value.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise InvalidRequest([FieldError("?", "must be at most 100 parameters in UTF-8")]) from None
    given = dict(pairs)
    if len(given) != len(pairs):
        twice = next(name for name, _ in pairs if [other for other, _ in pairs].count(name) > 1)
        raise refuse_query(twice[:64], "stands twice")
    try:
        return route.query.model_validate(given)
    except ValidationError as error:
        raise invalid_query(error) from None


def make_application(gateway: Gateway, token: str, routes: Sequence[Route] = ROUTES) -> web.Application:
    """Return the application; `application.settings["senders"]` holds the tasks that stream answers."""
    senders: set[asyncio.Task[None]] = set()
    common = {"gateway": gateway, "token": token, "senders": senders}
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_path.setdefault(route.pattern, {})[route.method] = route
    rules: list[Any] = [(pattern, ApiHandler, {**common, "routes": methods}) for pattern, methods in by_path.items()]
    return web.Application(
        rules,
        default_handler_class=ApiHandler,
        default_handler_args={**common, "routes": {}},
        log_function=_log_request,
        senders=senders,
    )


def _log_request(handler: web.RequestHandler) -> None:
    request = handler.request
    milliseconds = 1000 * request.request_time()
    access.info("%d %s %s %.1f ms", handler.get_status(), request.method, request.path, milliseconds)
