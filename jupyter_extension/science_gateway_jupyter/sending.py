"""The one HTTP client of the extension: it keeps no cookies, follows nothing and buffers nothing."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path

import httpx

from gateway.errors import ConfigurationError
from science_gateway_jupyter.errors import GatewayAway
from science_gateway_jupyter.upstream import Upstream

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 300.0
"""Without a byte of an answer: some of them (a check of a target) are thought about for long."""
_KEEP_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 4), 20),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 5), 5),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", 6), 3),
]
"""A connection to a machine that went away without a word ends within a minute, also where nothing is sent."""


class Sender:
    """Sends requests to the gateway.

    Parameters
    ----------
    ca_file
        Certificates of authorities to trust instead of the usual ones.
    transport
        What carries requests instead of the network, for tests.
    """

    def __init__(self, ca_file: Path | None = None, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._ca_file = ca_file
        self._transport = transport
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def close(self) -> None:
        """Close all connections."""
        while self._clients:
            await self._clients.popitem()[1].aclose()

    @contextlib.asynccontextmanager
    async def answer(
        self,
        upstream: Upstream,
        method: str,
        address: str,
        headers: Mapping[str, str],
        content: AsyncIterator[bytes] | bytes | None = None,
        *,
        silence: float | None = ANSWER_SECONDS,
    ) -> AsyncGenerator[httpx.Response]:
        """Send a request and give the answer, whose bytes are yet to be read.

        Parameters
        ----------
        silence
            Seconds without a byte after which the gateway counts as away; None: any time.

        Raises
        ------
        GatewayAway
            It does not answer, or its answer breaks off while it is read.
        """
        base = httpx.URL(upstream.url)
        client = self._client(base.scheme)
        request = httpx.Request(
            method,
            base.copy_with(raw_path=(base.path.rstrip("/") + address).encode("ascii")),
            headers={**headers, "Host": base.netloc.decode("ascii"), "Authorization": f"Bearer {upstream.token}"},
            content=content,
            extensions={"timeout": httpx.Timeout(silence, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS).as_dict()},
        )
        try:
            response = await client.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise _away(upstream.url, error) from None

    def _client(self, scheme: str) -> httpx.AsyncClient:
        if scheme not in self._clients:
            # No proxy of the environment: the token goes to this gateway only.
            transport = self._transport or httpx.AsyncHTTPTransport(
                verify=self._authorities() if scheme == "https" else False,
                trust_env=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30),
                socket_options=_KEEP_ALIVE,
            )
            client = httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)
            client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
            self._clients[scheme] = client
        return self._clients[scheme]

    def _authorities(self) -> ssl.SSLContext | bool:
        if self._ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=str(self._ca_file))
        except (OSError, ssl.SSLError):
            raise ConfigurationError(f"ScienceGateway.ca_file: {self._ca_file} holds no certificates") from None


def _away(url: str, error: httpx.HTTPError) -> GatewayAway:
    """Say in words what happened; the words of libraries could hold anything."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        return GatewayAway(
            f"the certificate of {url} cannot be trusted",
            hint="c.ScienceGateway.ca_file names the certificates of further authorities",
        )
    if isinstance(error, httpx.TimeoutException):
        return GatewayAway(f"the gateway at {url} did not answer in time")
    if isinstance(error, httpx.ConnectError):
        return GatewayAway(f"the gateway at {url} cannot be reached")
    return GatewayAway(f"the connection to the gateway at {url} broke off")
