"""Logins of OCI registries: what a 401 asks for, and who may be given the login. Pure.

The login goes to the registry's own host, and to token servers that the configuration names; to nobody else, wherever
a registry points.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from gateway.errors import ImageError
from gateway.images.references import DOCKER_HUB
from gateway.settings import RegistrySettings

KNOWN_TOKEN_SERVERS = {DOCKER_HUB: ("auth.docker.io",), "registry.gitlab.com": ("gitlab.com",)}
"""Those of registries that everybody knows, by their host."""
API_HOSTS = {DOCKER_HUB: "registry-1.docker.io"}
"""Where a registry really answers."""
MAX_TOKEN = 64 * 1024
_PARAMETER = re.compile(r'\s*([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))\s*(?:,|\Z)')
_TOKEN = re.compile(r"[\x21-\x7e]+\Z")


@dataclass(frozen=True)
class Challenge:
    """What a registry asks for: ``basic``, or a token of a server (``bearer``)."""

    kind: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Registry:
    """A registry and the configuration's section about it.

    Attributes
    ----------
    host
        As references name it.
    """

    host: str
    settings: RegistrySettings = field(default_factory=RegistrySettings)
    configured: bool = False

    @property
    def base(self) -> str:
        """The address that its API begins with."""
        return f"{'http' if self.settings.plain_http else 'https'}://{API_HOSTS.get(self.host, self.host)}"

    def owns(self, url: str) -> bool:
        """Say whether an address is of this registry itself: scheme, host and port."""
        return _origin(url) == _origin(self.base)

    def may_have_login(self, url: str) -> bool:
        """Say whether the login may be sent to an address."""
        if self.owns(url):
            return True
        scheme, netloc = _origin(url)
        known = (*self.settings.token_servers, *KNOWN_TOKEN_SERVERS.get(self.host, ()))
        secure = scheme == "https" or self.settings.plain_http
        return secure and any(netloc == _origin(f"{scheme}://{host}")[1] for host in known)

    def basic(self) -> str | None:
        """Return the login as a header, None where there is none; raises `ConfigurationError`."""
        if self.settings.username is None or self.settings.password is None:
            return None
        pair = f"{self.settings.username}:{self.settings.password.reveal()}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def bearer(self) -> str | None:
        """Return the configured token as a header, None where there is none; raises `ConfigurationError`."""
        return f"Bearer {self.settings.token.reveal()}" if self.settings.token is not None else None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    scheme, netloc = parts.scheme.lower(), parts.netloc.lower()
    default = {"https": ":443", "http": ":80"}.get(scheme, "")
    return scheme, netloc.removesuffix(default)


def read_challenge(header: str) -> Challenge | None:
    """Read ``WWW-Authenticate``; None where it asks for nothing that is known here."""
    kind, _, rest = header.strip().partition(" ")
    kind = kind.lower()
    if kind == "basic":
        return Challenge("basic")
    if kind != "bearer":
        return None
    found: dict[str, str] = {}
    at = 0
    while match := _PARAMETER.match(rest, at):
        found[match[1].lower()] = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        at = match.end()
        if at >= len(rest):
            break
    return Challenge("bearer", found) if found.get("realm") else None


def token_url(challenge: Challenge, repository: str) -> str:
    """Return the address that gives a token to read a repository: its scope is ours, not the registry's."""
    realm = challenge.parameters["realm"]
    asked = {"service": challenge.parameters.get("service", ""), "scope": f"repository:{repository}:pull"}
    query = urlencode({key: value for key, value in asked.items() if value})
    return f"{realm}{'&' if urlsplit(realm).query else '?'}{query}"


def read_token(body: bytes, host: str) -> str:
    """Return the header that a token server's answer gives. Raises `ImageError`."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    given = document if isinstance(document, dict) else {}
    token = given.get("token") or given.get("access_token")
    if not isinstance(token, str) or not _TOKEN.match(token):
        raise ImageError(f"{host}: its token server gave no token")
    return f"Bearer {token}"
