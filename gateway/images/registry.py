"""A small client of OCI registries: manifests by tag or digest, blobs to files. It only reads.

Addresses are checked as those of all URLs that people give (`gateway.urls`); a registry that the configuration names
may be private. What comes is bounded and checked against its digest. Logins: `gateway.images.registry_login`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from gateway.errors import ImageError, UrlUnreachable
from gateway.images.manifests import (
    ACCEPT,
    MAX_MANIFEST,
    Descriptor,
    Manifest,
    choose,
    digest_of,
    read_manifest,
)
from gateway.images.references import ImageReference
from gateway.images.registry_login import MAX_TOKEN, Registry, read_challenge, read_token, token_url
from gateway.settings import RegistrySettings
from gateway.urls import UrlOpener

MAX_CONFIG = 4 * 1024 * 1024
MAX_REDIRECTS = 5
MAX_NESTING = 3
"""Indexes within indexes."""
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 1024 * 1024

Arrived = Callable[[int], None]
"""Told how many bytes have come."""


class RegistryClient:
    """Reads from registries.

    Parameters
    ----------
    registries
        The configuration's sections, by host.
    allow
        ``gateway.allow_urls``.
    idle_timeout
        Seconds that a server may send nothing.
    """

    def __init__(
        self, registries: Mapping[str, RegistrySettings], allow: Sequence[str] = (), *, idle_timeout: float = 30.0
    ) -> None:
        self._sections = registries
        self._allow = tuple(allow)
        self._idle_timeout = idle_timeout
        self._public = UrlOpener(allow, idle_timeout=idle_timeout)
        self._own: dict[str, UrlOpener] = {}
        self._headers: dict[tuple[str, str], str] = {}
        """What was accepted, by registry and repository; asked for anew when it is not any more."""
        self._answers_all: set[tuple[str, str]] = set()

    def close(self) -> None:
        """Let go of what is held."""
        for opener in (self._public, *self._own.values()):
            opener.close()

    def registry(self, host: str) -> Registry:
        """Return what is known of a registry."""
        section = self._sections.get(host)
        return Registry(host, section or RegistrySettings(), configured=section is not None)

    def open_to_nodes(self, reference: ImageReference) -> str | None:
        """Return the address of the blobs, where it was seen that everybody can read them; ask after `manifest`."""
        registry = self.registry(reference.host)
        if not registry.settings.direct:
            return None
        if (reference.host, reference.name) not in self._answers_all:
            return None
        return f"{registry.base}/v2/{reference.name}/blobs/"

    async def manifest(self, reference: ImageReference, architecture: str) -> Manifest:
        """Return the manifest that a reference means now, for an architecture.

        Raises
        ------
        UrlUnreachable
            Trying again may help.
        UrlError, ImageError
            It does not.
        ConfigurationError
            The login's secret is not there.
        """
        named = reference.plain
        which = reference.digest or reference.tag or "latest"
        for _ in range(MAX_NESTING):
            body = await self._document(reference, which, named)
            found = read_manifest(body, named)
            if isinstance(found, Manifest):
                return found
            which = choose(found, architecture, named).digest
        raise ImageError(f"{named}: its index leads to an index again and again")

    async def _document(self, reference: ImageReference, which: str, named: str) -> bytes:
        async with self._open(reference, f"manifests/{which}", named, {"Accept": ACCEPT}) as response:
            body = await _bounded(response, MAX_MANIFEST, named)
            promised = response.headers.get("Docker-Content-Digest", "")
        digest = digest_of(body)
        if which.startswith("sha256:") and digest != which:
            raise ImageError(f"{named}: {reference.host} sent a manifest with another digest, {digest}")
        if promised.startswith("sha256:") and promised != digest:
            raise ImageError(f"{named}: {reference.host} sent a manifest that is not the one it announced")
        return body

    async def document(self, host: str, path: str, named: str, most: int) -> bytes:
        """Return what a server, that is no registry of this kind, has at a path. Raises as `manifest`."""
        registry = self.registry(host)
        self._headers |= {(host, ""): token} if (token := registry.bearer()) else {}
        async with self._follow(registry, "", registry.base + path, {"Accept": "application/json"}) as response:
            _judge(response, registry, named)
            return await _bounded(response, most, named)

    async def small_blob(self, reference: ImageReference, blob: Descriptor) -> bytes:
        """Return a configuration. Raises as `manifest`."""
        named = reference.plain
        if blob.size > MAX_CONFIG:
            raise ImageError(f"{named}: its configuration has {blob.size} bytes")
        async with self._open(reference, f"blobs/{blob.digest}", named) as response:
            body = await _bounded(response, blob.size, named)
        if digest_of(body) != blob.digest:
            raise ImageError(f"{named}: {reference.host} sent a configuration with another digest")
        return body

    async def blob(self, reference: ImageReference, blob: Descriptor, file: Path, arrived: Arrived) -> None:
        """Bring a blob to `file`, verified. What an earlier try brought there is gone on with.

        Raises
        ------
        UrlUnreachable
            It broke off, or the server is away: call again.
        UrlError, ImageError
            Trying again does not help; of wrong bytes nothing is kept.
        """
        hasher, there = await asyncio.to_thread(_begin, file, blob.size)
        if there < blob.size:
            headers = {"Range": f"bytes={there}-"} if there else {}
            named = reference.plain
            async with self._open(reference, f"blobs/{blob.digest}", named, headers) as response:
                if there and response.status_code != HTTPStatus.PARTIAL_CONTENT:
                    hasher, there = hashlib.sha256(), 0
                elif there and not _continues(response, there):
                    raise ImageError(f"{named}: {reference.host} continued the download at another place")
                there = await self._receive(response, file, hasher, there, blob.size, arrived, named)
            if there < blob.size:
                raise UrlUnreachable(f"{reference.host}: the download ended after {there} of {blob.size} bytes")
        if f"sha256:{hasher.hexdigest()}" != blob.digest:
            await asyncio.to_thread(file.unlink, missing_ok=True)
            raise ImageError(f"{reference.plain}: {reference.host} sent other bytes than its manifest says")

    @staticmethod
    async def _receive(
        response: httpx.Response, file: Path, hasher: hashlib._Hash, there: int, size: int, arrived: Arrived, named: str
    ) -> int:
        def keep(chunk: bytes) -> None:
            hasher.update(chunk)
            stream.write(chunk)

        stream = await asyncio.to_thread(file.open, "ab" if there else "wb")
        try:
            async for chunk in response.aiter_raw(_CHUNK):
                there += len(chunk)
                if there > size:
                    raise ImageError(f"{named}: a blob is larger than its manifest says")
                await asyncio.to_thread(keep, chunk)
                arrived(there)
        except OSError as error:
            raise ImageError(f"{named}: it cannot be kept on the gateway: {error.strerror}") from None
        finally:
            await asyncio.to_thread(stream.close)
        return there

    @asynccontextmanager
    async def _open(
        self, reference: ImageReference, path: str, named: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Ask the registry, with its login where it wants one; follow redirects, without it."""
        registry = self.registry(reference.host)
        url = f"{registry.base}/v2/{reference.name}/{path}"
        for turn in range(2):
            async with self._follow(registry, reference.name, url, headers or {}) as response:
                if response.status_code == HTTPStatus.UNAUTHORIZED and turn == 0:
                    asked = response.headers.get("WWW-Authenticate", "")
                else:
                    _judge(response, registry, named)
                    if (registry.host, reference.name) not in self._headers:
                        self._answers_all.add((registry.host, reference.name))
                    yield response
                    return
            await self._log_in(registry, reference.name, asked, named)

    @asynccontextmanager
    async def _follow(
        self, registry: Registry, repository: str, url: str, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        for _ in range(MAX_REDIRECTS + 1):
            sent = dict(headers)
            if registry.owns(url) and (known := self._headers.get((registry.host, repository))):
                sent["Authorization"] = known
            async with self._opener(registry, url).ask(url, sent) as response:
                if response.status_code not in _REDIRECTS:
                    yield response
                    return
                url = _next(url, response, registry)
        raise ImageError(f"{registry.host}: more than {MAX_REDIRECTS} redirects")

    def _opener(self, registry: Registry, url: str) -> UrlOpener:
        """Return what opens an address: hosts that the configuration names may be private, and only those."""
        if not registry.configured or not registry.may_have_login(url):
            return self._public
        host = urlsplit(url).hostname or ""
        if host not in self._own:
            self._own[host] = UrlOpener((*self._allow, host), idle_timeout=self._idle_timeout)
        return self._own[host]

    async def _log_in(self, registry: Registry, repository: str, asked: str, named: str) -> None:
        """Get what the registry asks for; raises `ImageError` where there is no login for it."""
        key = (registry.host, repository)
        self._answers_all.discard(key)
        before = self._headers.pop(key, None)
        challenge = read_challenge(asked)
        if challenge is None:
            raise ImageError(f"{named}: {registry.host} refuses access, and asks for a login of an unknown kind")
        configured = registry.bearer() or (registry.basic() if challenge.kind == "basic" else None)
        if challenge.kind == "basic" or configured is not None:
            if configured is None or configured == before:
                raise _refused(registry, named)
            self._headers[key] = configured
            return
        self._headers[key] = await self._token(registry, token_url(challenge, repository), named)

    async def _token(self, registry: Registry, url: str, named: str) -> str:
        login = registry.basic()
        host = urlsplit(url).netloc
        if login is not None and not registry.may_have_login(url):
            raise ImageError(
                f"{named}: {registry.host} sends to {host} for a token, which is not to be given its login",
                hint=f'if that is right: token_servers = ["{host}"] in [registries."{registry.host}"]',
            )
        if urlsplit(url).scheme != "https" and not registry.settings.plain_http:
            raise ImageError(f"{named}: {registry.host} sends to {host} for a token without TLS")
        headers = {"Authorization": login} if login else {}
        async with self._opener(registry, url).ask(url, headers) as response:
            if response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                raise _refused(registry, named)
            if response.status_code in _TEMPORARY:
                raise UrlUnreachable(f"{host}: the token server answered with status {response.status_code}")
            if response.status_code != HTTPStatus.OK:
                raise ImageError(f"{host}: the token server answered with status {response.status_code}")
            return read_token(await _bounded(response, MAX_TOKEN, named), host)


def _refused(registry: Registry, named: str) -> ImageError:
    if registry.settings.username or registry.settings.token:
        return ImageError(
            f"{named}: {registry.host} refuses the gateway's login, or the login may not read this image",
            hint="the image may also not exist: registries do not tell",
        )
    return ImageError(
        f"{named}: {registry.host} wants a login, or has no such image",
        hint=f'give a login in [registries."{registry.host}"] of gateway.toml',
    )


def _judge(response: httpx.Response, registry: Registry, named: str) -> None:
    status = response.status_code
    if status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        return
    if status == HTTPStatus.NOT_FOUND:
        raise ImageError(f"{named}: {registry.host} has no such image or tag")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise _refused(registry, named)
    if status in _TEMPORARY:
        later = re.fullmatch(r"\d{1,6}", response.headers.get("Retry-After", ""))
        wait = f"; it says: in {later[0]} s" if later else ""
        raise UrlUnreachable(f"{registry.host}: the registry answered with status {status}{wait}")
    raise ImageError(f"{named}: {registry.host} answered with status {status}")


def _next(url: str, response: httpx.Response, registry: Registry) -> str:
    location = response.headers.get("Location", "")
    found = str(urljoin(url, location))
    if not location:
        raise ImageError(f"{registry.host}: its redirect leads nowhere")
    if urlsplit(url).scheme == "https" and urlsplit(found).scheme != "https":
        raise ImageError(f"{registry.host}: it redirects to an address without TLS")
    return found


async def _bounded(response: httpx.Response, most: int, named: str) -> bytes:
    found = bytearray()
    async for chunk in response.aiter_raw(_CHUNK):
        found += chunk
        if len(found) > most:
            raise ImageError(f"{named}: the answer is larger than {most} bytes")
    return bytes(found)


def _begin(file: Path, size: int) -> tuple[hashlib._Hash, int]:
    """Return the state of the digest over what is there, and its length; what is too long is thrown away."""
    hasher, there = hashlib.sha256(), 0
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)
                there += len(chunk)
    except FileNotFoundError:
        pass
    if there > size:
        file.unlink()
        return hashlib.sha256(), 0
    return hasher, there


def _continues(response: httpx.Response, there: int) -> bool:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return match is not None and int(match[1]) == there
