"""Tornado handlers made from the table of routes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from tornado import httputil, web
from tornado.iostream import StreamClosedError

from gateway.api import cors, request_ids
from gateway.api.auth import Doorkeeper, check_host, check_permission
from gateway.api.compression import Compressor, plain_etags
from gateway.api.incoming import IncomingBody
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
from gateway.errors import FieldError, GatewayError, InvalidRequest, NotFound, PayloadTooLarge, TooManyRequests
from gateway.jobs.pointers import invalid_query, refuse_query
from gateway.model.people import Person, Role
from gateway.people.audit import STRANGER, Entry
from gateway.people.buckets import RateLimit

log = logging.getLogger(__name__)
access = logging.getLogger("gateway.access")

MAX_BODY = 16 * 1024 * 1024
MAX_DISCARDED = 8 * MAX_BODY
"""Of a body that is too large, so much is read and thrown away so that the client gets to read why."""
MAX_STREAMED = 2**50
"""Bytes of a body that a function reads as it comes; the function has limits of its own."""
BODY_STALL = 60.0
"""Seconds without a byte of a body after which its connection ends; also for one that nobody reads any more."""
BODY_SECONDS = 300.0
"""In which a body that is not streamed has to be whole."""
SEND_STALL = 600.0
"""Seconds in which a client has to take a piece of a streamed answer (at most 4 MiB)."""
STRANGERS_AUDITED = 1.0
"""Refused requests without a valid token that are audited each second; there may be any number of them."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class InternalError(GatewayError):
    """Something that the gateway did not expect; the log has the details."""


class Shared:
    """What all requests to one application share."""

    def __init__(self, gateway: Gateway, token: str) -> None:
        self.gateway = gateway
        self.settings = gateway.settings.gateway
        self.door = Doorkeeper(gateway.people, token, self.settings.rate_limit)
        self.compressor = Compressor()
        self.strangers = RateLimit(STRANGERS_AUDITED)
        self.senders: set[asyncio.Task[Any]] = set()
        self.origins = frozenset(self.settings.cors_origins)


@web.stream_request_body
class ApiHandler(web.RequestHandler):
    """Serves all methods of one address.

    Parameters
    ----------
    routes
        By method; empty where the address does not exist.
    """

    def initialize(self, shared: Shared, routes: dict[str, Route]) -> None:
        """Take what the application gives."""
        self.shared = shared
        self.gateway = shared.gateway
        self.routes = routes
        self.senders = shared.senders
        self.request_id = request_ids.choose(self.request.headers.get("X-Request-ID"))
        self.given = _headers(self.request)
        self.route: Route | None = None
        self.person: Person | None = None
        self.owner: str | None = None
        self._began = time.monotonic()
        self._patience: asyncio.TimerHandle | None = None
        self._body = bytearray()
        self._received = 0
        self._sender: asyncio.Task[None] | None = None
        self._gone = False
        self._incoming: IncomingBody | None = None
        self._early: asyncio.Task[Reply] | None = None

    def prepare(self) -> None:
        """Allow the body to be read before it is judged; where the function reads it, begin with that now."""
        request_ids.current.set(self.request_id)
        connection: Any = self.request.connection
        connection.set_max_body_size(MAX_DISCARDED)
        connection.set_body_timeout(BODY_SECONDS)
        if not {"content-length", "transfer-encoding"}.isdisjoint(self.given):
            self._wait_for_body()
        route = self.routes.get(self.request.method or "")
        if route is not None and route.streams_body:
            connection.set_max_body_size(MAX_STREAMED)
            connection.set_body_timeout(None)
            self._incoming = IncomingBody()
            self._early = asyncio.create_task(self._answer(self.path_args))
            self._early.add_done_callback(self._incoming.read_no_more)
            self.senders.add(self._early)
            self._early.add_done_callback(self.senders.discard)

    async def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the body, as long as it is not too large; or hand it over where it is streamed."""
        self._stop_waiting()
        await self._take(chunk)
        self._wait_for_body()

    def _wait_for_body(self) -> None:
        """Give the client some time for the next piece of the body."""
        self._stop_waiting()
        self._patience = asyncio.get_running_loop().call_later(BODY_STALL, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        log.info("request %s: its body did not come", self.request_id)
        self._drop()

    async def _take(self, chunk: bytes) -> None:
        if self._incoming is not None and await self._incoming.put(chunk):
            return
        self._received += len(chunk)
        if self._incoming is not None:  # the function has refused it: its client gets to read why
            if self._received > MAX_DISCARDED:
                self._drop()
        elif self._received <= MAX_BODY:
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
        super().on_connection_close()
        self._gone = True
        self._stop_waiting()
        if self._incoming is not None:
            self._incoming.break_off()
        if self._sender is not None:
            self._sender.cancel()

    async def _serve(self, *parts: str) -> None:
        self._stop_waiting()
        if self._incoming is not None and self._early is not None:
            await self._incoming.end()
            await self._send(await self._early)
        else:
            await self._send(await self._answer(parts))

    async def _answer(self, parts: Sequence[str]) -> Reply:
        reply = await self._reply_or_problem(parts)
        asks = self.route is not None and self.route.permission is Permission.READ
        if self.request.method not in READING and not asks:
            await self._audit(reply.status)
        return reply

    async def _audit(self, status: int) -> None:
        """Note what was asked for and how it was answered, before the answer is sent."""
        if self.person is None:
            try:
                self.shared.strangers.take("")
            except TooManyRequests:
                return
        await self.gateway.audit.write(
            Entry(
                person=self.person.name if self.person else STRANGER,
                token=self.person.token if self.person else None,
                request=self.request_id,
                action=self.route.name if self.route else "-",
                method=(self.request.method or "")[:8],
                path=self.request.path,
                owner=self.owner,
                status=status,
            )
        )

    async def _reply_or_problem(self, parts: Sequence[str]) -> Reply:
        try:
            return await self._reply(parts)
        except GatewayError as error:
            if error.status >= 500:
                log.warning("request %s: %s", self.request_id, error)
                self.gateway.metrics.errors.labels("api", error.problem).inc()
            return problem_reply(error)
        except Exception:
            log.exception("request %s failed", self.request_id)
            self.gateway.metrics.errors.labels("api", "internal").inc()
            text = f"the gateway failed; its log has the details under request {self.request_id}"
            return problem_reply(InternalError(text))

    get = head = post = put = patch = delete = options = _serve

    async def _reply(self, parts: Sequence[str]) -> Reply:
        check_host(self.given.get("host", ""), self.shared.settings.listen, self.shared.settings.host_names)
        method = self.request.method or ""
        if cors.is_preflight(method, self.given) and (allowed := cors.preflight(self.shared.origins, self.given)):
            return allowed
        route = self.route = self.routes.get("GET" if method == "HEAD" else method)
        if route is None or route.permission is not Permission.PUBLIC:
            self.person = await self.shared.door.admit(self.given)
        if not self.routes or any("\0" in part for part in parts):
            raise NotFound(f"there is nothing at {self.request.path[:200]!a}")
        if route is None:
            raise MethodNotAllowed(f"{method[:20]!a} is not possible here")
        if self._received > MAX_BODY and not route.streams_body:
            raise PayloadTooLarge(f"the body has more than {MAX_BODY} bytes")
        path = dict(zip(route.parameters, parts, strict=True))
        person = self.person or Person("", Role.VIEWER, frozenset())
        if self.person is not None:
            check_permission(person, route.permission)
            self.owner = await self.shared.door.owner_for(person, route, path)
        request = Request(
            method=method,
            path=path,
            query=read_query(route, self.request.query),
            body=self._json(route),
            headers=plain_etags(self.given),
            owner=self.owner or person.name,
            person=person,
            stream=self._incoming,
        )
        answer = await route.function(self.gateway, request)
        return json_reply(answer, route.status) if isinstance(answer, BaseModel) else answer

    def _json(self, route: Route) -> Any:
        if route.request_model is None:
            return None
        if not self._body and not route.body_needed:
            return None
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in route.request_types:
            raise UnsupportedMediaType(f"send the body with 'Content-Type: {route.request_types[0]}'")
        return parse_json(bytes(self._body))

    async def _send(self, reply: Reply) -> None:
        reply = self.shared.compressor.apply(reply, self.given.get("accept-encoding", ""))
        self.set_status(reply.status)
        for name, value in reply.headers.items():
            self.set_header(name, value)
        self._set_own_headers()
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

    def _set_own_headers(self) -> None:
        self.set_header("X-Request-ID", self.request_id)
        for name, value in cors.answer_headers(self.shared.origins, self.given).items():
            before = self._headers.get(name) if name == "Vary" else None
            self.set_header(name, f"{before}, {value}" if before else value)

    def on_finish(self) -> None:
        """Count the request."""
        self._stop_waiting()
        route = self.route.template if self.route else "-"
        method = self.request.method if self.request.method in METHODS else "other"
        self.gateway.metrics.requests.labels(method, route, str(self.get_status())).inc()
        if self._sender is None:
            self.gateway.metrics.latency.labels(route).observe(time.monotonic() - self._began)

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
                async with asyncio.timeout(SEND_STALL):
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
        self._set_own_headers()
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
    shared = Shared(gateway, token)
    by_path: dict[str, dict[str, Route]] = {}
    for route in sorted(routes, key=lambda route: len(route.parameters)):  # /jobs/cancel is not the job "cancel"
        by_path.setdefault(route.pattern, {})[route.method] = route
    rules: list[Any] = [
        (pattern, ApiHandler, {"shared": shared, "routes": methods}) for pattern, methods in by_path.items()
    ]
    return web.Application(
        rules,
        default_handler_class=ApiHandler,
        default_handler_args={"shared": shared, "routes": {}},
        log_function=_log_request,
        senders=shared.senders,
    )


def _log_request(handler: web.RequestHandler) -> None:
    request = handler.request
    milliseconds = 1000 * request.request_time()
    access.info("%d %s %s %.1f ms", handler.get_status(), request.method, request.path, milliseconds)
