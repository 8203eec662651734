"""The addresses of the extension's own: state, token, new targets."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from jupyter_server.auth.decorator import authorized
from tornado import web

from gateway.errors import Conflict, FieldError, InvalidRequest
from science_gateway_jupyter.base import RESOURCE, GatewayHandler
from science_gateway_jupyter.embedded import EmbeddedGateway
from science_gateway_jupyter.passing import API
from science_gateway_jupyter.remote import RemoteGateway


class StatusHandler(GatewayHandler):
    """What is known about the gateway itself."""

    @web.authenticated
    @authorized("read", resource=RESOURCE)
    async def get(self) -> None:
        """Give it."""
        self.finish((await self.shared.mode.status()).model_dump_json())


class TokenHandler(GatewayHandler):
    """The token that a person pasted, for a shared gateway. It is never given back."""

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def put(self) -> None:
        """Keep a token that the gateway takes."""
        body = self.json_body()
        if not isinstance(body, dict) or set(body) != {"token"}:
            raise InvalidRequest([FieldError("#", 'must be {"token": "…"}')])
        await self._remote().keep(body["token"])
        self.finish((await self.shared.mode.status()).model_dump_json())

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def delete(self) -> None:
        """Forget it."""
        await self._remote().forget()
        self.finish((await self.shared.mode.status()).model_dump_json())

    def _remote(self) -> RemoteGateway:
        if not isinstance(self.shared.mode, RemoteGateway):
            raise Conflict("the gateway in this Jupyter server needs no token")
        return self.shared.mode


class TargetHandler(GatewayHandler):
    """What both steps of adding a target need."""

    def embedded(self) -> EmbeddedGateway:
        """Return the gateway that a target can be added to; raises `Conflict`."""
        mode = self.shared.mode
        if not isinstance(mode, EmbeddedGateway):
            raise Conflict("targets of a shared gateway are added by its administrator")
        if mode.gateway is not None and mode.gateway.lease != "held":
            raise Conflict(
                "another process drives the jobs of this data folder: add the target there",
                hint="or end the other Jupyter server or `gateway serve` first",
            )
        return mode


class LookHandler(TargetHandler):
    """A machine that may become a target."""

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def post(self) -> None:
        """Show its key; with the key accepted, what was found there."""
        from science_gateway_jupyter import adding

        await self.embedded().check()
        gateway = self.embedded().gateway
        if gateway is None:
            raise Conflict("the gateway is starting")
        self.finish(await adding.look(adding.read_wanted(self.json_body()), gateway.settings.gateway))


class TargetsHandler(TargetHandler):
    """New targets."""

    @web.authenticated
    @authorized("write", resource=RESOURCE)
    async def post(self) -> None:
        """Write a machine into gateway.toml, and use it."""
        from science_gateway_jupyter import adding

        wanted = adding.read_wanted(self.json_body())
        async with self.shared.changing:
            embedded = self.embedded()
            name = await adding.add(wanted, embedded.configuration.place())
            await embedded.restart()
            upstream = await embedded.upstream()
        accept = {"Accept": "application/json", "Accept-Encoding": "identity"}
        address = f"{API}/targets/{quote(name, safe='')}"
        async with self.shared.sender.answer(upstream, "GET", address, accept) as response:
            content = await response.aread()
        self.set_status(HTTPStatus.CREATED if response.status_code == HTTPStatus.OK else response.status_code)
        self.set_header("Content-Type", response.headers.get("Content-Type", "application/json"))
        self.finish(content)
