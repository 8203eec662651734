"""A gateway in the Jupyter server's own process, on a loopback port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

from gateway.errors import GatewayError
from science_gateway_jupyter.errors import GatewayFailed, GatewayStarting
from science_gateway_jupyter.kernels import inherited
from science_gateway_jupyter.upstream import State, Status, Upstream

if TYPE_CHECKING:  # these take a while to import: that is done beside Jupyter's start
    from gateway.app import Gateway
    from gateway.settings import Settings
    from science_gateway_jupyter.configuration import Configuration

TRY_AGAIN = 5.0
"""Seconds after a start that failed."""
PATIENCE = 20.0
"""Seconds that a request waits for a gateway that is starting."""
_SLOW_TO_IMPORT = ("gateway.api.server", "gateway.engine.engine")


class EmbeddedGateway:
    """Opens a gateway, keeps it open and opens it again: after a failure by itself, after a change when asked to.

    Its owner is the person who runs the server; whom Jupyter takes its users for does not matter.
    """

    def __init__(self, configure: Configuration, log: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
        self.configuration = configure
        self.log = log
        self.gateway: Gateway | None = None
        self._upstream: Upstream | None = None
        self._failure: GatewayFailed | None = None
        self._settled = asyncio.Event()
        self._again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._port = 0

    async def start(self) -> None:
        """Begin to open the gateway, beside everything else."""
        self._task = asyncio.create_task(self._keep_open(), name="science gateway")

    async def stop(self) -> None:
        """Close the gateway; jobs go on without it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def restart(self) -> None:
        """Close the gateway and open it with the configuration as it is now; returns when that has been tried."""
        self._settled.clear()
        self._again.set()
        await self._settled.wait()

    async def upstream(self) -> Upstream:
        """Return where it listens, once it does."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._settled.wait()
        except TimeoutError:
            raise GatewayStarting("the gateway in this Jupyter server is still starting") from None
        if self._upstream is None:
            raise self._failure or GatewayStarting("the gateway in this Jupyter server has ended")
        return self._upstream

    async def check(self) -> None:
        """Return when it listens."""
        await self.upstream()

    async def status(self) -> Status:
        """Return what is known now."""
        gateway, upstream, failure = self.gateway, self._upstream, self._failure
        if gateway is not None and upstream is not None:
            lease = cast(Literal["held", "elsewhere", "none"], gateway.lease)
            return Status(
                mode="embedded",
                state="ready",
                message=_ELSEWHERE if lease == "elsewhere" else None,
                url=upstream.url,
                lease=lease,
                person=gateway.owner,
                role="admin",
                can_add_targets=lease == "held",
            )
        state: State = "failed" if failure else "starting"
        return Status(
            mode="embedded",
            state=state,
            message=failure.message if failure else None,
            hint=failure.hint if failure else None,
        )

    async def _keep_open(self) -> None:
        for name in _SLOW_TO_IMPORT:
            await asyncio.to_thread(importlib.import_module, name)
        while True:
            self._again.clear()
            try:
                settings = await asyncio.to_thread(self.configuration.load, self._port)
                async with self._opened(settings):
                    await self._again.wait()
            except GatewayError as error:
                await self._failed(GatewayFailed(error.message, hint=error.hint))
            except Exception:
                self.log.exception("the gateway cannot be started")
                await self._failed(GatewayFailed("the gateway cannot be started", hint="Jupyter's log has the details"))

    async def _failed(self, failure: GatewayFailed) -> None:
        """Show a failure until it is time to try again."""
        if self._failure is None or self._failure.message != failure.message:
            self.log.warning("Science Gateway: %s; it is tried again every %g s", failure, TRY_AGAIN)
        self._failure = failure
        self._settled.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TRY_AGAIN):
                await self._again.wait()

    @contextlib.asynccontextmanager
    async def _opened(self, settings: Settings) -> AsyncIterator[None]:
        from gateway.api.server import announced, listening
        from gateway.app import Gateway

        async with Gateway(settings) as gateway, listening(gateway) as running:
            token = (await asyncio.to_thread(running.token_file.read_text)).strip()
            self._port = urlsplit(running.url).port or 0
            with announced(gateway, running), inherited({"GATEWAY_DATA": str(gateway.data)}):
                self.gateway, self._failure, self._upstream = gateway, None, Upstream(running.url, token)
                self._settled.set()
                self.log.info("Science Gateway: listens on %s for %s", running.url, gateway.data)
                try:
                    yield
                finally:
                    self._settled.clear()
                    self.gateway = self._upstream = None


_ELSEWHERE = "Another process drives the jobs of this data folder; this one takes over when that one ends."
