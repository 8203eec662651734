"""The functions behind the routes about people: who I am, users, tokens, the audit log."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from gateway.api.messages import Query, Reply, Request, json_reply
from gateway.api.route import ADMIN, READ, WRITE, Route
from gateway.app import Gateway
from gateway.db import people as table
from gateway.db.people import AuditFilter
from gateway.errors import FieldError, Forbidden, InvalidRequest
from gateway.jobs import cursors
from gateway.jobs.pointers import find_bad_text, invalid_request, pointer
from gateway.jobs.views import API
from gateway.model.base import Model, Time
from gateway.model.people import Scope
from gateway.model.users import (
    AuditEntry,
    AuditPage,
    Me,
    NewlyMadeToken,
    NewToken,
    NewUser,
    PersonName,
    TokenPage,
    User,
    UserChange,
    UserPage,
)

_NO_STORE = {"Cache-Control": "no-store"}


class TokensQuery(Query):
    """`GET /tokens`."""

    person: PersonName | None = Field(default=None, description="Whose; one's own by default. Others': admins only.")


class AuditQuery(Query):
    """`GET /audit`."""

    person: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        default=None, description="Who asked; `-` for requests without a valid token."
    )
    owner: PersonName | None = Field(default=None, description="On whose behalf.")
    action: Annotated[str, StringConstraints(pattern=r"^[a-z_-]{1,64}$")] | None = Field(
        default=None, description="The operation's name, as in the OpenAPI document."
    )
    since: Time | None = None
    until: Time | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=8192)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


M = TypeVar("M", bound=Model)


def _read(model: type[M], body: Any) -> M:
    """Type a body; raises `InvalidRequest` that names each field."""
    if not isinstance(body, dict):
        raise InvalidRequest([FieldError("#", "must be a JSON object")])
    if (place := find_bad_text(body)) is not None:
        raise InvalidRequest([FieldError(pointer(place), "must be valid Unicode")])
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error, body, fields=model.model_fields) from None


async def get_me(gateway: Gateway, request: Request) -> Me:
    """Say who the token belongs to, and what may be done with it."""
    person = request.person
    scopes = [scope for scope in Scope if person.may(scope)]
    single = person.name == gateway.owner and await gateway.people.others() == 0
    return Me(name=person.name, role=person.role, scopes=scopes, single=single)


async def list_users(gateway: Gateway, request: Request) -> UserPage:  # noqa: ARG001
    """List the people who may use the gateway."""
    return UserPage(items=await gateway.people.users())


async def add_user(gateway: Gateway, request: Request) -> Reply:
    """Let a person use the gateway. Make a token for them next."""
    made = await gateway.people.add_user(_read(NewUser, request.body))
    return json_reply(made, 201, {"Location": f"{API}/users/{made.name}"})


async def get_user(gateway: Gateway, request: Request) -> User:
    """Show a person."""
    return await gateway.people.user(request.path["name"])


async def change_user(gateway: Gateway, request: Request) -> User:
    """Change a person's role, or disable them: their tokens then open nothing, their jobs go on."""
    return await gateway.people.change_user(request.path["name"], _read(UserChange, request.body))


async def remove_user(gateway: Gateway, request: Request) -> Reply:
    """Forget a person with all tokens. Not possible while jobs are theirs: disable them instead."""
    await gateway.people.remove_user(request.path["name"])
    return Reply(204)


async def list_tokens(gateway: Gateway, request: Request) -> TokenPage:
    """List tokens, without their secrets."""
    query: TokensQuery = request.query
    person = query.person or request.person.name
    if person != request.person.name and not request.person.may(Scope.ADMIN):
        raise Forbidden("only an administrator sees the tokens of others")
    return TokenPage(items=await gateway.people.tokens(person))


async def add_token(gateway: Gateway, request: Request) -> Reply:
    """Make a token. Its secret is in this answer only: the gateway keeps a digest of it."""
    made = await gateway.people.add_token(_read(NewToken, request.body), request.person)
    return json_reply(made, 201, _NO_STORE)


async def revoke_token(gateway: Gateway, request: Request) -> Reply:
    """Let a token open nothing any more."""
    await gateway.people.revoke_token(request.path["id"], request.person)
    return Reply(204)


async def list_audit(gateway: Gateway, request: Request) -> AuditPage:
    """List the requests that could change something, newest first: who, on whose behalf, and how it was answered."""
    query: AuditQuery = request.query
    before: int | None = None
    if query.cursor is not None:
        (value,) = cursors.decode(query.cursor, "audit", int)
        before = int(value)
        if not 0 <= before < 2**63:
            raise InvalidRequest([FieldError("?cursor", "is not a cursor of this list")])
    wanted = AuditFilter(query.person, query.owner, query.action, query.since, query.until)
    rows = list(
        await gateway.database.read(lambda c: table.audit_page(c, wanted, limit=query.limit + 1, before=before))
    )
    items = [AuditEntry.model_validate(dict(row)) for row in rows[: query.limit]]
    following = cursors.encode("audit", items[-1].id) if len(rows) > query.limit else None
    return AuditPage(items=items, next_cursor=following)


_USER = f"{API}/users/{{name}}"

ROUTES = (
    Route("GET", f"{API}/me", get_me, READ, "Who I am", response_model=Me),
    Route("GET", f"{API}/users", list_users, ADMIN, "List people", response_model=UserPage),
    Route(
        "POST", f"{API}/users", add_user, ADMIN, "Add a person", request_model=NewUser, response_model=User, status=201
    ),
    Route("GET", _USER, get_user, ADMIN, "Show a person", response_model=User),
    Route("PATCH", _USER, change_user, ADMIN, "Change a person", request_model=UserChange, response_model=User),
    Route("DELETE", _USER, remove_user, ADMIN, "Forget a person", status=204, media_types=()),
    Route("GET", f"{API}/tokens", list_tokens, READ, "List tokens", query=TokensQuery, response_model=TokenPage),
    Route(
        "POST",
        f"{API}/tokens",
        add_token,
        WRITE,
        "Make a token",
        request_model=NewToken,
        response_model=NewlyMadeToken,
        status=201,
    ),
    Route("DELETE", f"{API}/tokens/{{id}}", revoke_token, WRITE, "Revoke a token", status=204, media_types=()),
    Route(
        "GET", f"{API}/audit", list_audit, ADMIN, "List what was changed", query=AuditQuery, response_model=AuditPage
    ),
)
