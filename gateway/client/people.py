"""People, tokens and the audit log, as flows: ``gateway.run(people.users())``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from gateway.client.calls import API, fetch, items
from gateway.client.flow import Flow, Request, exchange
from gateway.model.people import Role, Scope
from gateway.model.users import AuditEntry, AuditPage, Me, NewlyMadeToken, Token, User

PAGE = 500
"""Rows of the audit log that are asked for at once."""


def me() -> Flow[Me]:
    """Return who the token belongs to."""
    return (yield from fetch(Me, Request("GET", f"{API}/me")))


def users() -> Flow[list[User]]:
    """Return everybody who may use the gateway."""
    return (yield from items(f"{API}/users", User))


def add_user(name: str, role: Role = Role.USER) -> Flow[User]:
    """Let a person use the gateway; `Conflict` where there is one of that name."""
    request = Request("POST", f"{API}/users", json={"name": name, "role": str(role)}, again=False)
    return (yield from fetch(User, request))


def change_user(name: str, changes: Mapping[str, Any]) -> Flow[User]:
    """Change ``role`` or ``disabled`` of a person."""
    return (yield from fetch(User, Request("PATCH", _user(name), json=dict(changes))))


def remove_user(name: str) -> Flow[None]:
    """Forget a person with all tokens; `Conflict` while jobs are theirs."""
    yield from exchange(Request("DELETE", _user(name), again=False))


def tokens(person: str | None = None) -> Flow[list[Token]]:
    """Return the own tokens, or those of another person."""
    return (yield from items(f"{API}/tokens", Token, {"person": person} if person else {}))


def add_token(
    label: str = "",
    person: str | None = None,
    scopes: Sequence[Scope] | None = None,
    expires_at: datetime | None = None,
) -> Flow[NewlyMadeToken]:
    """Make a token; its secret is in the answer only."""
    body: dict[str, Any] = {"label": label, "person": person}
    body["scopes"] = [str(scope) for scope in scopes] if scopes else None
    body["expires_at"] = expires_at.isoformat() if expires_at else None
    return (yield from fetch(NewlyMadeToken, Request("POST", f"{API}/tokens", json=body, again=False)))


def revoke_token(token_id: str) -> Flow[None]:
    """Let a token open nothing any more."""
    yield from exchange(Request("DELETE", f"{API}/tokens/{quote(token_id, safe='')}"))


def audit(limit: int, filters: Mapping[str, str]) -> Flow[list[AuditEntry]]:
    """Return the newest rows of the audit log."""
    found: list[AuditEntry] = []
    cursor: str | None = None
    while len(found) < limit:
        query = {**filters, "limit": str(min(limit - len(found), PAGE))}
        if cursor:
            query["cursor"] = cursor
        page = yield from fetch(AuditPage, Request("GET", f"{API}/audit", query))
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _user(name: str) -> str:
    return f"{API}/users/{quote(name, safe='')}"
