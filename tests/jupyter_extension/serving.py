"""A whole Jupyter server with the extension, in the test's own loop, behind a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import warnings
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import JupyterServerAuthWarning
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.websocket import WebSocketClientConnection, websocket_connect
from traitlets.config import Config

from science_gateway_jupyter.app import ScienceGateway, Shared
from tests.databases import lay_database

JUPYTER_TOKEN = "jupyter-token-of-the-tests"
BASE = "/lab-of/alice/"
ROOT = f"{BASE}science-gateway"
API = f"{ROOT}/api/v1"
PLAIN: dict[str, Any] = {"trust_env": False, "verify": False}


@dataclass
class Served:
    """A Jupyter server that answers.

    Attributes
    ----------
    http
        A client that has Jupyter's token, as scripts have it.
    port
        On loopback.
    """

    app: ServerApp
    extension: ScienceGateway
    http: httpx.AsyncClient
    port: int

    @property
    def shared(self) -> Shared:
        """What the handlers share."""
        return self.extension.shared

    @property
    def url(self) -> str:
        """Of the server, without its base."""
        return f"http://127.0.0.1:{self.port}"

    async def status(self) -> dict[str, Any]:
        """Return what the extension says of the gateway."""
        answer = await self.http.get(f"{ROOT}/status")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def socket(self, query: str = f"?token={JUPYTER_TOKEN}") -> WebSocketClientConnection:
        """Open the page's connection."""
        return await websocket_connect(f"ws://127.0.0.1:{self.port}{ROOT}/socket{query}")

    async def page(self) -> Page:
        """Open the page's connection, and be greeted."""
        page = Page(await self.socket())
        assert set(await page.next()) == {"hello"}
        return page


@dataclass
class Page:
    """A page's end of its connection."""

    socket: WebSocketClientConnection

    async def send(self, content: Any) -> None:
        """Say something."""
        await self.socket.write_message(content if isinstance(content, str) else json.dumps(content))

    async def next(self) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(30):
            text = await self.socket.read_message()
        assert text is not None, f"closed with {self.socket.close_code} {self.socket.close_reason}"
        found: dict[str, Any] = json.loads(text)
        return found

    async def next_of(self, stream: int) -> dict[str, Any]:
        """Return the next message of a stream that is no heartbeat."""
        while (message := await self.next()).get("stream") != stream or "beat" in message:
            pass
        return message

    async def closed(self) -> int | None:
        """Wait for the end and return its code."""
        async with asyncio.timeout(30):
            while await self.socket.read_message() is not None:
                pass
        code: int | None = self.socket.close_code
        return code


def write_configuration(folder: Path, **targets: str) -> Path:
    """Write a gateway.toml with a target on this machine, and return it."""
    data = folder / "data"
    lay_database(data)
    text = f"""
[gateway]
data = "{data}"
default_target = "here"
default_store = "disk"
[targets.here]
poll_interval = 0.2
runtime = {{ kind = "auto", allow_host = true }}
[stores.disk]
kind = "directory"
path = "{{data}}/results"
"""
    file = folder / "gateway.toml"
    file.write_text(text + "".join(targets.values()))
    return file


@contextlib.asynccontextmanager
async def jupyter(folder: Path, settings: Mapping[str, Any], **server: Any) -> AsyncIterator[Served]:
    """Open a Jupyter server with the extension.

    Parameters
    ----------
    folder
        Where its own files are.
    settings
        Of the extension.
    server
        Further traits of the ServerApp.
    """
    ServerApp.clear_instance()
    config = Config({"ScienceGateway": dict(settings), "IdentityProvider": {"token": JUPYTER_TOKEN}})
    config.NotebookNotary.db_file = ":memory:"
    app = ServerApp.instance(
        port=0, open_browser=False, base_url=BASE, config=config, allow_root=True, root_dir=str(folder), **server
    )
    app.jpserver_extensions = {"science_gateway_jupyter": True}
    app.init_signal = lambda: None
    with warnings.catch_warnings():
        warnings.simplefilter("error", JupyterServerAuthWarning)
        app.initialize(argv=[], new_httpserver=False, find_extensions=False)
    app.log.propagate, app.log.handlers = True, []
    app.log.setLevel(logging.DEBUG)
    extension = app.extension_manager.extension_points["science_gateway_jupyter"].app
    web = HTTPServer(app.web_app, max_body_size=app.max_body_size)
    sockets = bind_sockets(0, "127.0.0.1")
    web.add_sockets(sockets)
    port = sockets[0].getsockname()[1]
    await app.extension_manager.start_all_extensions()
    headers = {"Authorization": f"token {JUPYTER_TOKEN}"}
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, **PLAIN) as http:
            yield Served(app, extension, http, port)
    finally:
        web.stop()
        await app._cleanup()
        await web.close_all_connections()
        ServerApp.clear_instance()
