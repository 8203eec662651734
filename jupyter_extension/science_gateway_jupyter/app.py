"""The server extension: its settings, what its handlers share, its beginning and its end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from jupyter_server.extension.application import ExtensionApp
from traitlets import Unicode

from gateway.errors import ConfigurationError
from gateway.settings import GatewaySettings
from science_gateway_jupyter.configuration import Configuration
from science_gateway_jupyter.embedded import EmbeddedGateway
from science_gateway_jupyter.handlers import LookHandler, StatusHandler, TargetsHandler, TokenHandler
from science_gateway_jupyter.kept_tokens import KeptTokens
from science_gateway_jupyter.kernels import inherited
from science_gateway_jupyter.page_socket import SocketHandler
from science_gateway_jupyter.passing import API
from science_gateway_jupyter.proxy import ProxyHandler
from science_gateway_jupyter.remote import Misconfigured, RemoteGateway, checked_url
from science_gateway_jupyter.sending import Sender

if TYPE_CHECKING:
    from science_gateway_jupyter.upstream import Mode

ROOT = "science-gateway"
SLOW_PARTS = ("gateway.client.event_stream",)


@dataclass
class Shared:
    """What the handlers share.

    Attributes
    ----------
    root
        Where the extension's addresses begin, with Jupyter's base URL.
    changing
        Held while the configuration is changed.
    """

    root: str
    mode: Mode
    sender: Sender
    sockets: set[SocketHandler] = field(default_factory=set)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)


class ScienceGateway(ExtensionApp):
    """Launch simulations, watch them and browse their outputs in JupyterLab.

    Without `url` a gateway runs in the Jupyter server's own process. With it, requests go to that gateway, with the
    person's own token.
    """

    name = "science_gateway_jupyter"
    load_other_extensions = True

    url = Unicode("", help="Address of a shared gateway, such as https://gateway.example.org. Empty: an own one.").tag(
        config=True
    )
    token_file = Unicode("", help="File with the person's token for the shared gateway.").tag(config=True)
    ca_file = Unicode("", help="Certificates (PEM) to trust for the shared gateway, instead of the usual ones.").tag(
        config=True
    )
    config_file = Unicode("", help="gateway.toml of the own gateway.").tag(config=True)
    data = Unicode("", help="Data folder: of the own gateway, and of the token that is pasted.").tag(config=True)

    def initialize_handlers(self) -> None:
        """Put the handlers below Jupyter's base URL."""
        assert self.serverapp is not None
        root = self.serverapp.web_app.settings["base_url"].rstrip("/") + "/" + ROOT
        sender = Sender(_path(self.ca_file))
        self.shared = Shared(root, self._mode(sender), sender)
        given = {"shared": self.shared}
        self.handlers = [
            (rf"{ROOT}/status", StatusHandler, given),
            (rf"{ROOT}/token", TokenHandler, given),
            (rf"{ROOT}/targets", TargetsHandler, given),
            (rf"{ROOT}/targets/look", LookHandler, given),
            (rf"{ROOT}/socket", SocketHandler, given),
            (rf"{ROOT}{API}/(.*)", ProxyHandler, given),
        ]

    def _mode(self, sender: Sender) -> Mode:
        self._inherited = contextlib.ExitStack()
        if not self.url:
            return EmbeddedGateway(Configuration(_path(self.config_file), _path(self.data)), self.log)
        try:
            url = checked_url(self.url)
        except ConfigurationError as error:
            self.log.error("Science Gateway: %s", error)
            return Misconfigured(error)
        address = httpx.URL(url)
        if address.scheme == "http" and address.host not in ("127.0.0.1", "::1", "localhost"):
            self.log.warning("Science Gateway: %s is not encrypted; tokens can be read on the way", url)
        kept = KeptTokens((_path(self.data) or GatewaySettings().data).expanduser() / "tokens", url)
        remote = RemoteGateway(url, sender, kept, _path(self.token_file))
        self._inherited.enter_context(inherited(remote.for_kernels()))
        return remote

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        self._loading = asyncio.create_task(asyncio.to_thread(load_slow_parts), name="science gateway imports")
        await self.shared.mode.start()

    async def stop_extension(self) -> None:
        """End with the server; jobs go on."""
        for handler in list(self.shared.sockets):
            handler.close(1001)
        await self.shared.mode.stop()
        await self.shared.sender.close()
        self._inherited.close()


def load_slow_parts() -> None:
    """Import, in a thread beside Jupyter's start, what the first request would wait for."""
    for name in SLOW_PARTS:
        importlib.import_module(name)


def _path(text: str) -> Path | None:
    return Path(text) if text else None
