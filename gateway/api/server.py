"""`gateway serve`: the REST API on a socket, until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shlex
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from gateway.api.auth import load_or_create_token
from gateway.api.request_ids import log_to_stderr
from gateway.api.tornado_adapter import MAX_DISCARDED, make_application
from gateway.app import Gateway
from gateway.errors import ConfigurationError
from gateway.jobs.configured import parse_listen
from gateway.settings import Settings

MAX_HEADERS = 64 * 1024
HEADER_SECONDS = 75.0
"""From the end of one request on a connection until the headers of the next have come, however slowly they come."""


@dataclass(frozen=True)
class Running:
    """A server that listens."""

    url: str
    token_file: Path


def token_path(settings: Settings) -> Path:
    """Return the file of the token."""
    return Path(settings.gateway.expand(settings.gateway.token_file)).expanduser().absolute()


@contextlib.asynccontextmanager
async def listening(gateway: Gateway) -> AsyncIterator[Running]:
    """Listen for requests to an open gateway.

    Raises
    ------
    ConfigurationError
        The address cannot be used, or the token file.
    """
    settings = gateway.settings
    host, port = parse_listen(settings.gateway.listen)
    file = token_path(settings)
    token = await asyncio.to_thread(load_or_create_token, file)
    try:
        sockets = bind_sockets(port, host or None)
    except OSError as error:
        raise ConfigurationError(
            f"gateway.listen: {settings.gateway.listen} cannot be used: {error.strerror}",
            hint="another program may listen there; choose another port",
        ) from None
    application = make_application(gateway, token)
    server = HTTPServer(
        application,
        max_body_size=MAX_DISCARDED,
        max_header_size=MAX_HEADERS,
        idle_connection_timeout=HEADER_SECONDS,
        xheaders=False,
    )
    server.add_sockets(sockets)
    shown = "127.0.0.1" if host in ("", "0.0.0.0") else "::1" if host == "::" else host  # noqa: S104
    bound = sockets[0].getsockname()[1]
    url = f"http://[{shown}]:{bound}" if ":" in shown else f"http://{shown}:{bound}"
    try:
        yield Running(url, file)
    finally:
        server.stop()
        for sender in list(application.settings["senders"]):
            sender.cancel()
        await asyncio.gather(*application.settings["senders"], return_exceptions=True)
        await server.close_all_connections()


@contextlib.contextmanager
def announced(gateway: Gateway, running: Running) -> Iterator[None]:
    """Tell programs of the same account where the gateway listens, by ``server.json`` in the data folder.

    Beside another one that drives, this is told when this one takes over.
    """
    file = gateway.data / "server.json"
    content = {"url": running.url, "pid": os.getpid(), "token_file": str(running.token_file)}

    def tell() -> None:
        part = file.with_name(f".server.{secrets.token_hex(4)}")
        part.touch(mode=0o600)
        part.write_text(json.dumps(content) + "\n")
        part.replace(file)

    if gateway.lock.held or not file.exists():
        tell()
    gateway.on_take_over.append(tell)
    try:
        yield
    finally:
        gateway.on_take_over.remove(tell)
        with contextlib.suppress(OSError, ValueError):
            if json.loads(file.read_text()) == content:
                file.unlink()


async def serve(settings: Settings, *, drive: bool = True, on_ready: Callable[[Running], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Prints one line when it listens.

    Parameters
    ----------
    on_ready
        Called when it listens, instead of printing.

    Raises
    ------
    ConfigurationError
        The configuration cannot be used.
    """
    log_to_stderr(settings.gateway.log_level)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        async with Gateway(settings, drive=drive) as gateway, listening(gateway) as running:
            with announced(gateway, running):
                (on_ready or _say)(running)
                await ended.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _say(running: Running) -> None:
    token = f"$(cat {shlex.quote(str(running.token_file))})"
    print(
        f'Science Gateway listens on {running.url} (curl -H "Authorization: Bearer {token}" {running.url}/api/v1/jobs)',
        flush=True,
    )
