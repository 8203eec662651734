"""Carrying out the steps of flows: one driver waits, the other awaits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any, TypeVar, cast

import httpx

from gateway.client.discovery import Endpoint
from gateway.client.flow import Emit, Flow, GatewayNotRunning, Open, Pause, Read, Request, Send, Step, Walk, Work

T = TypeVar("T")
Watch = Callable[[Any], object]
"""Is given what a flow emits."""


def _options(endpoint: Endpoint, timeout: float) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
    # No proxy from the environment: the token goes to this gateway only.
    return {"base_url": endpoint.url, "headers": headers, "timeout": timeout, "trust_env": False}


def _built(http: httpx.Client | httpx.AsyncClient, request: Request) -> httpx.Request:
    return http.build_request(
        request.method,
        request.path,
        params=dict(request.query) or None,
        json=request.json,
        content=request.content,
        headers=dict(request.headers),
        timeout=http.timeout if request.timeout is None else request.timeout,
    )


def _named(error: GatewayNotRunning, url: str) -> GatewayNotRunning:
    return GatewayNotRunning(f"the gateway at {url} does not answer", hint=error.hint)


class Driver:
    """Carries out flows, one step after the other. Safe to use from several threads.

    Parameters
    ----------
    transport
        What carries requests instead of the network, for tests.
    """

    def __init__(self, endpoint: Endpoint, timeout: float, transport: httpx.BaseTransport | None = None) -> None:
        self.url = endpoint.url
        self._http = httpx.Client(transport=transport, **_options(endpoint, timeout))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, flow: Flow[T], on: Watch | None = None) -> T:
        """Carry out a flow and return its result; `on` is called with what it emits."""
        walk = Walk(flow)
        for value in self._walked(walk):
            if on is not None:
                on(value)
        return cast(T, walk.result)

    def stream(self, flow: Flow[Any]) -> Generator[Any]:
        """Yield what a flow emits, while it is carried out."""
        yield from self._walked(Walk(flow))

    def _walked(self, walk: Walk[Any]) -> Generator[Any]:
        reader = _Reader()
        try:
            while (step := walk.step) is not None:
                if isinstance(step, Emit):
                    yield step.value
                    walk.answer(None)
                    continue
                try:
                    found = self._done(step, reader)
                except Exception as error:  # the flow decides what a failure means
                    walk.fail(error)
                else:
                    walk.answer(found)
        except GatewayNotRunning as error:
            raise _named(error, self.url) from error.__cause__
        finally:
            reader.close()
            walk.close()

    def _done(self, step: Step, reader: _Reader) -> Any:
        match step:
            case Send(request):
                return self._http.send(_built(self._http, request))
            case Open(request):
                return reader.open(self._http.send(_built(self._http, request), stream=True))
            case Read():
                return next(reader.chunks, b"")
            case Pause(seconds):
                return time.sleep(seconds)
            case Work(do):
                return do()
            case _:
                raise AssertionError(step)


class _Reader:
    """The one answer of a flow whose bytes are being read."""

    chunks: Iterator[bytes] = iter(())

    def __init__(self) -> None:
        self._response: httpx.Response | None = None

    def open(self, response: httpx.Response) -> httpx.Response:
        self.close()
        self._response, self.chunks = response, response.iter_raw()
        if response.is_error:
            response.read()
        return response

    def close(self) -> None:
        if self._response is not None:
            self._response.close()


class AsyncDriver:
    """As `Driver`, for asyncio."""

    def __init__(self, endpoint: Endpoint, timeout: float, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = endpoint.url
        self._http = httpx.AsyncClient(transport=transport, **_options(endpoint, timeout))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, flow: Flow[T], on: Watch | None = None) -> T:
        """Carry out a flow and return its result; `on` is called with what it emits."""
        walk = Walk(flow)
        async for value in self._walked(walk):
            if on is not None:
                on(value)
        return cast(T, walk.result)

    async def stream(self, flow: Flow[Any]) -> AsyncGenerator[Any]:
        """Yield what a flow emits, while it is carried out."""
        walked = self._walked(Walk(flow))
        try:
            async for value in walked:
                yield value
        finally:
            await walked.aclose()

    async def _walked(self, walk: Walk[Any]) -> AsyncGenerator[Any]:
        reader = _AsyncReader()
        try:
            while (step := walk.step) is not None:
                if isinstance(step, Emit):
                    yield step.value
                    walk.answer(None)
                    continue
                try:
                    found = await self._done(step, reader)
                except Exception as error:  # the flow decides what a failure means
                    walk.fail(error)
                else:
                    walk.answer(found)
        except GatewayNotRunning as error:
            raise _named(error, self.url) from error.__cause__
        finally:
            await reader.close()
            walk.close()

    async def _done(self, step: Step, reader: _AsyncReader) -> Any:
        match step:
            case Send(request):
                return await self._http.send(_built(self._http, request))
            case Open(request):
                return await reader.open(await self._http.send(_built(self._http, request), stream=True))
            case Read():
                return await anext(reader.chunks, b"")
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Work(do):
                return await asyncio.to_thread(do)
            case _:
                raise AssertionError(step)


class _AsyncReader:
    """As `_Reader`, for asyncio."""

    chunks: AsyncIterator[bytes]

    def __init__(self) -> None:
        self._response: httpx.Response | None = None

    async def open(self, response: httpx.Response) -> httpx.Response:
        await self.close()
        self._response, self.chunks = response, response.aiter_raw()
        if response.is_error:
            await response.aread()
        return response

    async def close(self) -> None:
        if self._response is not None:
            await self._response.aclose()
