"""Who may speak to the gateway: the bearer token, what its person may do, and the names the gateway answers to."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from gateway.api.messages import Misdirected
from gateway.api.route import Permission, Route
from gateway.errors import ConfigurationError, Forbidden, Unauthenticated
from gateway.jobs.views import API
from gateway.model.people import SCOPES_OF, Person, Role, Scope
from gateway.people.buckets import RateLimit
from gateway.people.service import People

DEFAULT_RATE = 200.0
"""Requests a second with one token of a person."""
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


class Doorkeeper:
    """Lets people in by their tokens, no more often than the configuration allows.

    Parameters
    ----------
    own_token
        The gateway's own, from its token file: that of its administrator.
    rate
        Requests a second with one token; None for the default, which does not hold for the own token.
    """

    def __init__(self, people: People, own_token: str, rate: float | None = None) -> None:
        self.people = people
        self._own = own_token.encode()
        self._owner = Person(people.owner, Role.ADMIN)
        self._limit = RateLimit(DEFAULT_RATE if rate is None else rate)
        self._own_is_limited = rate is not None

    async def admit(self, headers: Mapping[str, str]) -> Person:
        """Return who makes a request.

        Raises
        ------
        Unauthenticated
            No valid token came with it.
        TooManyRequests
        """
        scheme, _, given = headers.get("authorization", "").partition(" ")
        secret = given.strip()
        if scheme.lower() != "bearer" or not secret:
            raise Unauthenticated("send the header 'Authorization: Bearer <token>' with your token")
        own = hmac.compare_digest(secret.encode(), self._own)
        person = self._owner if own else await self.people.identify(secret)
        if not own or self._own_is_limited:
            self._limit.take(person.token or "")
        return person

    async def owner_for(self, person: Person, route: Route, path: Mapping[str, str]) -> str:
        """Return on whose behalf a request acts: an admin may name another's job or sweep by its id."""
        thing = _THING.match(route.path)
        if thing is None or not person.may(Scope.ADMIN) or not _ID.match(path["id"]):
            return person.name
        return await self.people.owner_of(thing[1], path["id"]) or person.name


_THING = re.compile(re.escape(API) + r"/(jobs|sweeps)/\{id\}(?:/|\Z)")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_NEEDS = {Permission.READ: Scope.READ, Permission.WRITE: Scope.WRITE, Permission.ADMIN: Scope.ADMIN}
_MAY_NOT = {
    Scope.READ: "look at anything",
    Scope.WRITE: "change anything",
    Scope.ADMIN: "administer the gateway",
}


def check_permission(person: Person, permission: Permission) -> None:
    """Raise `Forbidden` unless both the person's role and the token allow what a route needs."""
    scope = _NEEDS[permission]
    if person.may(scope):
        return
    if scope not in SCOPES_OF[person.role]:
        raise Forbidden(
            f"{person.name} has the role {person.role} here and may not {_MAY_NOT[scope]}",
            hint="an administrator can change the role",
        )
    raise Forbidden(f"this token may not {_MAY_NOT[scope]}: that needs one with the scope '{scope}'")


def check_host(host: str, listen: str, names: Collection[str] = ()) -> None:
    """Raise `Misdirected` unless the ``Host`` header names this gateway.

    Parameters
    ----------
    names
        Further names, such as that of a reverse proxy. Where some are given, a gateway that listens on all addresses
        answers to no others.

    A page of a foreign name that was made to point here (DNS rebinding) is refused; addresses cannot be rebound.
    """
    name = _without_port(host)
    mine = _without_port(listen)
    if name in _LOOPBACK or name == mine or name in names or (mine in _WILDCARDS and not names):
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
