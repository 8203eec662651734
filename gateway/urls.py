"""Opens every URL that a person gave: http(s) only, to addresses that were checked, bounded, without credentials.

A host is resolved once. Each of its addresses must be allowed, and the connection goes to one of these very
addresses, so that a name which changes its address between check and use (DNS rebinding) gains nothing. TLS is
still verified against the name. Every redirect is checked like the first URL.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import re
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO, TypeVar

import httpx

from gateway.errors import ConfigurationError, FieldError, UrlError, UrlUnreachable

MAX_BYTES = 10 * 1024**3
"""Bytes of a file where the caller sets no other limit."""
MAX_REDIRECTS = 5
CONNECT_TIMEOUT = 10.0
_CHUNK = 1024 * 1024
_THREADS = 8
_HEADERS = {"User-Agent": "science-gateway", "Accept": "*/*", "Accept-Encoding": "identity"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}\Z")
_OLD_IPV4 = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)(\.(0[xX][0-9a-fA-F]*|[0-9]+)){0,3}\Z")
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f\\]")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # a cloud's metadata service answers here, though parts count as global
        "168.63.129.16/32",  # another cloud's, in the midst of public addresses
        "2002::/16",  # 6to4 and Teredo: an IPv4 address of anybody's choice inside
        "2001::/32",
        "fec0::/10",
    )
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""Blocking: the addresses of a host; raises OSError."""
T = TypeVar("T")


@dataclass(frozen=True)
class FetchedFile:
    """What arrived: bytes, and ``sha256:…`` over them."""

    size: int
    digest: str


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host in the system's order. Blocking; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


class UrlOpener:
    """Opens people's URLs.

    Parameters
    ----------
    allow
        Hosts that may be reached though their addresses are not public: names, addresses, or networks
        such as ``10.1.0.0/16`` (setting ``gateway.allow_urls``).
    resolver
        Finds the addresses of a host.
    tls
        What servers' certificates are verified with; by default the usual authorities and this machine's own.
    idle_timeout
        Seconds that a server may send nothing.

    Raises
    ------
    ConfigurationError
        An entry of `allow` is none of these.
    """

    def __init__(
        self,
        allow: Sequence[str],
        *,
        resolver: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
        idle_timeout: float = 30.0,
    ) -> None:
        self._names, self._networks = read_allowed(allow)
        self._resolver = resolver
        self._tls = tls
        self._timeouts = httpx.Timeout(idle_timeout, connect=CONNECT_TIMEOUT)
        # Resolvers and disks can hang; they must not take the threads that others wait for.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="urls")

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def problem(self, url: str) -> str | None:
        """Say why `url` can never be opened, or None. Names are not resolved: that is for the moment of use."""
        try:
            parsed = _parse(url)
        except ValueError as error:
            return str(error)
        literal = _literal(_host(parsed))
        if literal is not None and (kind := self._address_problem(_host(parsed), literal)):
            return f"must not point to a {kind} address, unless gateway.allow_urls names it"
        return None

    async def fetch(
        self, url: str, destination: Path, *, digest: str | None = None, max_bytes: int = MAX_BYTES, timeout: float
    ) -> FetchedFile:
        """Fetch a file. `destination` is there whole and right, or not at all.

        Parameters
        ----------
        digest
            ``sha256:…`` that the file must have.
        timeout
            Seconds for all of it.

        Raises
        ------
        UrlUnreachable
            Trying again may help.
        UrlError
            Trying again does not help: refused, not there, too large, another digest.
        """
        try:
            parsed = _parse(url)
        except ValueError as error:
            raise UrlError(f"the URL {error}") from None
        part = destination.with_name(f"{destination.name}.{secrets.token_hex(4)}.part")
        try:
            with _disk_errors_told():
                stream = await self._in_thread(lambda: part.open("wb"))
                try:
                    async with asyncio.timeout(timeout):
                        found = await self._follow(parsed, stream, digest, max_bytes)
                finally:
                    await self._in_thread(stream.close)
                part.replace(destination)
        except TimeoutError:
            raise UrlUnreachable(f"{_host(parsed)}: the file did not arrive within {timeout:g} s") from None
        finally:
            part.unlink(missing_ok=True)
        return found

    async def _follow(self, url: httpx.URL, stream: IO[bytes], digest: str | None, max_bytes: int) -> FetchedFile:
        first = _host(url)
        for _ in range(MAX_REDIRECTS + 1):
            async with self._get(url) as response:
                if response.status_code not in _REDIRECTS:
                    return await self._receive(_host(url), response, stream, digest, max_bytes)
                url = _redirected(url, response, proven=digest is not None)
        raise UrlError(f"{first}: more than {MAX_REDIRECTS} redirects")

    @asynccontextmanager
    async def ask(self, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[httpx.Response]:
        """Ask one server, with headers of the caller's; the body is not read yet, redirects are not followed.

        Raises
        ------
        UrlUnreachable
            Trying again may help.
        UrlError
            It is refused.
        """
        try:
            parsed = _parse(url)
        except ValueError as error:
            raise UrlError(f"the URL {error}") from None
        async with self._get(parsed, headers) as response:
            with _failures_told(_host(parsed)):
                yield response

    @asynccontextmanager
    async def follow(self, url: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[httpx.Response]:
        """Ask as `ask` does, and follow redirects, each checked like the first URL; reading the body raises the same.

        The caller proves what comes: a redirect may lead from https to http.
        """
        try:
            parsed = _parse(url)
        except ValueError as error:
            raise UrlError(f"the URL {error}") from None
        first = _host(parsed)
        for _ in range(MAX_REDIRECTS + 1):
            async with self._get(parsed, headers) as response:
                if response.status_code not in _REDIRECTS:
                    with _failures_told(_host(parsed)):
                        yield response
                    return
                parsed = _redirected(parsed, response, proven=True)
        raise UrlError(f"{first}: more than {MAX_REDIRECTS} redirects")

    @asynccontextmanager
    async def _get(self, url: httpx.URL, more: Mapping[str, str] | None = None) -> AsyncIterator[httpx.Response]:
        """Ask one server. A client of its own: no cookie, login or connection is carried to the next."""
        host = _host(url)
        addresses = await self._addresses(url)
        headers = {**_HEADERS, **(more or {}), "Host": url.netloc.decode("ascii")}
        extensions = {} if _literal(host) else {"sni_hostname": host.rstrip(".")}
        if self._tls is None:
            self._tls = await asyncio.get_running_loop().run_in_executor(self._threads, _make_tls)
        async with httpx.AsyncClient(
            trust_env=False, follow_redirects=False, verify=self._tls, timeout=self._timeouts
        ) as client:
            with _failures_told(host):
                for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
                    pinned = url.copy_with(host=str(address))
                    request = client.build_request("GET", pinned, headers=headers, extensions=extensions)
                    try:
                        response = await client.send(request, stream=True)
                        break
                    except (httpx.ConnectError, httpx.ConnectTimeout):
                        if not left:
                            raise
            try:
                yield response
            finally:
                await response.aclose()

    async def _addresses(self, url: httpx.URL) -> list[Address]:
        """Resolve a host, once; all its addresses must be allowed."""
        host, literal = _host(url), _literal(_host(url))
        port = url.port or (443 if url.scheme == "https" else 80)
        resolver = self._resolver if literal is None else lambda *_: [str(literal)]
        try:
            # Not `_in_thread`: a resolver that hangs is left behind when the time is over.
            texts = await asyncio.get_running_loop().run_in_executor(self._threads, resolver, host, port)
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "it is not a name"
            raise UrlUnreachable(f"{host}: the name cannot be resolved: {why}") from None
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in texts]
        if not addresses:
            raise UrlUnreachable(f"{host}: the name has no address")
        for address in addresses:
            if kind := self._address_problem(host, address):
                raise UrlError(f"{host}: it has a {kind} address, and gateway.allow_urls does not name it")
        return addresses

    def _address_problem(self, host: str, address: Address) -> str | None:
        """Return the kind of an address that must not be reached, None for one that may."""
        judged = _embedded(address)
        if host.rstrip(".").lower() in self._names or any(judged in network for network in self._networks):
            return None
        return _forbidden_kind(judged)

    async def _receive(
        self, host: str, response: httpx.Response, stream: IO[bytes], digest: str | None, max_bytes: int
    ) -> FetchedFile:
        if response.status_code != HTTPStatus.OK:
            error = UrlUnreachable if response.status_code in _TEMPORARY else UrlError
            raise error(f"{host}: the server answered with status {response.status_code}")
        too_large = UrlError(f"{host}: the file is larger than {max_bytes} bytes")
        promised = response.headers.get("Content-Length", "")
        if promised.isascii() and promised.isdigit() and int(promised) > max_bytes:
            raise too_large
        size, hasher = 0, hashlib.sha256()

        def keep(chunk: bytes) -> None:
            hasher.update(chunk)
            stream.write(chunk)

        with _failures_told(host):
            # Raw: a file is stored as it lies on the server, and a small answer cannot unpack to a huge one.
            async for chunk in response.aiter_raw(_CHUNK):
                size += len(chunk)
                if size > max_bytes:
                    raise too_large
                await self._in_thread(partial(keep, chunk))
        found = f"sha256:{hasher.hexdigest()}"
        if digest is not None and found != digest:
            raise UrlError(f"{host}: the file's digest is {found}, not {digest}")
        return FetchedFile(size, found)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        """Run what may block. It is over when this returns, even where that is by cancellation."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, function)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise


def read_allowed(
    allow: Sequence[str],
) -> tuple[frozenset[str], list[ipaddress.IPv4Network | ipaddress.IPv6Network]]:
    """Read ``gateway.allow_urls``: names in lower case, addresses and networks.

    Raises
    ------
    ConfigurationError
        An entry is none of these; names its key.
    """
    names, networks = set(), []
    for number, entry in enumerate(allow):
        text = entry.strip().removeprefix("[").removesuffix("]")
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
            continue
        except ValueError:
            pass
        if ":" in text or not _HOST.match(text) or _OLD_IPV4.match(text):
            detail = f"{entry!r} is not a host name, an address or a network such as 10.1.0.0/16"
            place = f"gateway.allow_urls.{number}"
            raise ConfigurationError(f"{place}: {detail}", [FieldError(place, detail)])
        names.add(text.rstrip(".").lower())
    return frozenset(names), networks


def _parse(text: str) -> httpx.URL:
    """Read a URL; raises ValueError with what it must be."""
    if _NOT_IN_URLS.search(text):
        raise ValueError("must not contain spaces, backslashes or control characters")
    try:
        url = httpx.URL(text).copy_with(fragment=None)
        host = _host(url)
    except (httpx.InvalidURL, ValueError):
        raise ValueError("must be a URL such as https://example.org/mesh.bin") from None
    if url.scheme not in {"http", "https"}:
        raise ValueError("must begin with https:// or http://")
    if "@" in re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]:
        raise ValueError("must not contain a user name or a password")
    if not _HOST.match(host) or not (url.port is None or 0 < url.port < 65536):
        raise ValueError("must name a host, such as https://example.org/mesh.bin")
    return url


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii")


def _literal(host: str) -> Address | None:
    """Return the address that a host is, also in the old forms (2130706433, 0x7f.1) that resolvers take."""
    host = host.removesuffix(".")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if not _OLD_IPV4.match(host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _forbidden_kind(address: Address) -> str | None:
    for kind in ("unspecified", "loopback", "link_local", "multicast"):
        if getattr(address, f"is_{kind}"):
            return kind.replace("_", "-")
    if any(address in network for network in _REFUSED):
        return "reserved"  # before "private": Python's releases differ about some of these
    if address.is_private:
        return "private"
    return "reserved" if address.is_reserved or not address.is_global else None


def _redirected(url: httpx.URL, response: httpx.Response, *, proven: bool) -> httpx.URL:
    """Return where a redirect leads, read as strictly as the first URL."""
    host = _host(url)
    location = response.headers.get("Location", "")
    try:
        if not location:
            raise ValueError("is missing")
        # Joined only when it is relative: what a reference means must not depend on two readers.
        found = _parse(location if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location) else str(url.join(location)))
    except (httpx.InvalidURL, ValueError) as error:
        raise UrlError(f"{host}: its redirect {error}") from None
    if url.scheme == "https" and found.scheme == "http" and not proven:
        raise UrlError(f"{host}: it redirects to http, which nobody can verify without a digest")
    return found


@contextmanager
def _failures_told(host: str) -> Iterator[None]:
    """Turn what httpx raises into a sentence that names the host and the cause."""
    try:
        yield
    except httpx.TransportError as error:
        if untrusted := _untrusted(error):
            raise UrlError(f"{host}: its certificate is refused: {untrusted}") from None
        raise UrlUnreachable(f"{host}: {_cause(error)}") from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _untrusted(error: BaseException) -> str | None:
    found = (item for item in _causes(error) if isinstance(item, ssl.SSLCertVerificationError))
    return next((item.verify_message for item in found), None)


def _cause(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {CONNECT_TIMEOUT:g} s"
    if isinstance(error, httpx.TimeoutException):
        return "the server stopped sending"
    if isinstance(error, httpx.RemoteProtocolError):
        return "the connection ended too early, or what came is not HTTP"
    if isinstance(error, httpx.ConnectError):
        words = [item.strerror for item in _causes(error) if isinstance(item, OSError) and item.strerror]
        return f"no connection: {words[-1]}" if words else "no connection"
    return "the connection broke"


@contextmanager
def _disk_errors_told() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise
    except OSError as error:
        raise UrlError(f"the file cannot be kept on the gateway: {error.strerror}") from None


def _make_tls() -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
