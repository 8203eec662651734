"""People: who they are to the gateway, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person is here: each role includes those before it."""

    VIEWER = "viewer"
    USER = "user"
    ADMIN = "admin"


class Scope(StrEnum):
    """What a token may be used for; a token never allows more than its person's role."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


SCOPES_OF = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.USER: frozenset({Scope.READ, Scope.WRITE}),
    Role.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True)
class Person:
    """Who makes a request.

    Attributes
    ----------
    scopes
        Of the token that came with the request.
    token
        Its id; None for the gateway's own token file.
    """

    name: str
    role: Role = Role.USER
    scopes: frozenset[Scope] = frozenset(Scope)
    token: str | None = None

    def may(self, scope: Scope) -> bool:
        """Say whether both role and token allow something."""
        return scope in self.scopes and scope in SCOPES_OF[self.role]
