"""Who may speak to the gateway: the bearer token, and the names it answers to."""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from gateway.api.messages import Misdirected
from gateway.errors import ConfigurationError, Unauthenticated

_LOOPBACK = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})
_WILDCARDS = frozenset({"0.0.0.0", "::", "*", ""})  # noqa: S104


def load_or_create_token(file: Path) -> str:
    """Return the token; make it at the first start, readable by this account only.

    Raises
    ------
    ConfigurationError
        The file cannot be read or written, is empty, or others can read it.
    """
    try:
        if not file.exists():
            _create(file)
        with file.open() as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            token = stream.read().strip()
    except OSError as error:
        raise ConfigurationError(f"the token file {file} cannot be used: {error.strerror}") from None
    if mode & 0o077:
        raise ConfigurationError(f"the token file {file} can be read by others", hint=f"chmod 600 {file}")
    if len(token) < 16:
        raise ConfigurationError(f"the token file {file} holds no token", hint="remove it: a new one is made")
    return token


def _create(file: Path) -> None:
    """Write a new token; whoever comes first wins."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
        try:
            os.link(part, file)
        except FileExistsError:
            return
    finally:
        part.unlink()


def check_token(headers: Mapping[str, str], token: str) -> None:
    """Raise `Unauthenticated` unless the request carries the token."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise Unauthenticated("send the header 'Authorization: Bearer <token>' with the gateway's token")


def check_host(host: str, listen: str) -> None:
    """Raise `Misdirected` unless the ``Host`` header names this gateway.

    A page of a foreign name that was made to point here (DNS rebinding) is refused; addresses cannot be rebound.
    """
    name = _without_port(host)
    mine = _without_port(listen)
    if name in _LOOPBACK or name == mine or mine in _WILDCARDS:
        return
    try:
        ipaddress.ip_address(name)
    except ValueError:
        raise Misdirected("the Host header names another host") from None


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() and ":" not in name else host).lower().rstrip(".")
