"""A shared gateway elsewhere, with the person's own token."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from gateway.errors import ConfigurationError, FieldError, GatewayError, InvalidRequest
from science_gateway_jupyter.errors import GatewayFailed, TokenNeeded, UnexpectedAnswer
from science_gateway_jupyter.kept_tokens import KeptTokens, checked_token
from science_gateway_jupyter.passing import API
from science_gateway_jupyter.sending import Sender
from science_gateway_jupyter.upstream import Status, Upstream

TOKEN_VARIABLE = "SCIENCE_GATEWAY_TOKEN"
ANSWER_SECONDS = 10.0
LONGEST = 64 * 1024
_HINT = "paste your token: an administrator of the gateway makes one for you"


@dataclass(frozen=True)
class Person:
    """Who the gateway takes the token's owner for."""

    name: str
    role: str


def checked_url(url: str) -> str:
    """Return a gateway's address in one form.

    Raises
    ------
    ConfigurationError
        It is not http(s), or has a password, a query or a fragment.
    """
    try:
        found = httpx.URL(url.strip())
    except httpx.InvalidURL:
        found = httpx.URL("")
    if found.scheme not in ("http", "https") or not found.host or found.userinfo or found.query or found.fragment:
        # The address itself is not repeated: it may hold a password.
        raise ConfigurationError(
            "ScienceGateway.url is not the address of a gateway", hint="such as https://gateway.example.org"
        )
    return str(found).rstrip("/")


class RemoteGateway:
    """Speaks to one gateway on behalf of one person.

    Parameters
    ----------
    token_file
        Where the person's token is, or was put by an administrator; a pasted one comes first.
    """

    def __init__(
        self,
        url: str,
        sender: Sender,
        kept: KeptTokens,
        token_file: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.kept = kept
        self._sender = sender
        self._token_file = token_file
        self._environ = os.environ if environ is None else environ

    async def start(self) -> None:
        """Nothing needs to be begun."""

    async def stop(self) -> None:
        """Nothing needs to be ended."""

    async def upstream(self) -> Upstream:
        """Return the gateway with the token of now: a file may have been renewed."""
        try:
            token = await asyncio.to_thread(self._token)
        except ConfigurationError as error:
            raise TokenNeeded(error.message, hint=error.hint) from None
        if token is None:
            raise TokenNeeded(f"the gateway at {self.url} wants your token", hint=_HINT)
        return Upstream(self.url, token)

    async def check(self) -> None:
        """Ask the gateway who the token belongs to."""
        await self._who(await self.upstream())

    async def status(self) -> Status:
        """Return what the gateway says now."""
        try:
            person = await self._who(await self.upstream())
        except TokenNeeded as error:
            return Status(mode="remote", state="needs_token", message=error.message, hint=error.hint, url=self.url)
        except GatewayError as error:
            return Status(mode="remote", state="unreachable", message=error.message, hint=error.hint, url=self.url)
        return Status(mode="remote", state="ready", url=self.url, person=person.name, role=person.role)

    async def keep(self, token: object) -> None:
        """Keep the token that a person pasted, unless the gateway refuses it.

        Raises
        ------
        InvalidRequest
            It is no token, or the gateway refuses it. What was kept before stays.
        """
        text = checked_token(token)
        try:
            await self._who(Upstream(self.url, text))
        except TokenNeeded:
            detail = "the gateway does not take this token"
            raise InvalidRequest([FieldError("#/token", detail)], detail) from None
        except GatewayError:
            pass  # it may be good: the gateway cannot say so now
        await asyncio.to_thread(self.kept.write, text)

    async def forget(self) -> None:
        """Remove the pasted token."""
        await asyncio.to_thread(self.kept.remove)

    def refused(self) -> TokenNeeded:
        """Return the error of a token that the gateway does not take."""
        return TokenNeeded(f"the gateway at {self.url} does not take the token", hint=_HINT)

    def for_kernels(self) -> dict[str, str]:
        """Return variables by which clients in kernels find the same gateway, as the same person."""
        found = {"GATEWAY_URL": self.url}
        if not self.kept.file.exists() and self._token_file is not None:
            return {**found, "GATEWAY_TOKEN_FILE": str(self._token_file.expanduser())}
        if not self.kept.file.exists() and (token := self._environ.get(TOKEN_VARIABLE)):
            return {**found, "GATEWAY_TOKEN": token}
        return {**found, "GATEWAY_TOKEN_FILE": str(self.kept.file)}

    def _token(self) -> str | None:
        if kept := self.kept.read():
            return kept
        if self._token_file is not None:
            try:
                return _plain(self._token_file.expanduser().read_text(), f"the token file {self._token_file}")
            except (OSError, UnicodeDecodeError):
                raise ConfigurationError(f"the token file {self._token_file} cannot be read") from None
        given = self._environ.get(TOKEN_VARIABLE)
        return _plain(given, TOKEN_VARIABLE) if given else None

    async def _who(self, upstream: Upstream) -> Person:
        accept = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with self._sender.answer(upstream, "GET", f"{API}/me", accept, silence=ANSWER_SECONDS) as response:
            if response.status_code == 401:
                raise self.refused()
            content = b""
            async for piece in response.aiter_raw():
                content += piece
                if len(content) > LONGEST:
                    break
        try:
            found = json.loads(content)
            if response.status_code != 200:
                raise ValueError
            return Person(str(found["name"]), str(found["role"]))
        except (ValueError, KeyError, TypeError):
            raise UnexpectedAnswer(
                f"what answers at {self.url} is not a gateway (status {response.status_code})",
                hint="look at c.ScienceGateway.url",
            ) from None


class Misconfigured:
    """Stands where a shared gateway should: its address cannot be used, and the panel says so."""

    def __init__(self, error: ConfigurationError) -> None:
        self._error = GatewayFailed(error.message, hint=error.hint)

    async def start(self) -> None:
        """Nothing can be begun."""

    async def stop(self) -> None:
        """Nothing needs to be ended."""

    async def upstream(self) -> Upstream:
        """Raise `GatewayFailed`."""
        raise self._error

    async def check(self) -> None:
        """Raise `GatewayFailed`."""
        raise self._error

    async def status(self) -> Status:
        """Return the mistake."""
        return Status(mode="remote", state="failed", message=self._error.message, hint=self._error.hint)


def _plain(text: str, where: str) -> str:
    try:
        return checked_token(text)
    except InvalidRequest:
        raise ConfigurationError(f"{where} holds no token") from None
