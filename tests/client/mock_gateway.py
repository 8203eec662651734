"""Both clients on a gateway that is a function, and one way to call them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import httpx

from gateway.client import AsyncGateway, Gateway

Handler = Callable[[httpx.Request], httpx.Response]


def run_sync(handler: Handler, use: Callable[[Any], Any]) -> Any:
    """Use the client that waits."""
    with Gateway("http://gateway.test", "secret", transport=httpx.MockTransport(handler)) as gateway:
        found = use(gateway)
        return list(found) if inspect.isgenerator(found) else found


def run_async(handler: Handler, use: Callable[[Any], Any]) -> Any:
    """Use the client that awaits."""

    async def main() -> Any:
        async with AsyncGateway("http://gateway.test", "secret", transport=httpx.MockTransport(handler)) as gateway:
            found = use(gateway)
            if inspect.isasyncgen(found):
                return [item async for item in found]
            return await found

    return asyncio.run(main())


BOTH = (run_sync, run_async)
