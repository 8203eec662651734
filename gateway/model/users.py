"""People, their tokens and the audit log, as the API shows them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from gateway.model.base import Line, Model, Time
from gateway.model.job import Answer
from gateway.model.people import Role, Scope

PersonName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}$")]
"""Name of a person: an account's name or a mail address."""

Label = Annotated[Line, StringConstraints(max_length=200)]


class Me(Answer):
    """Who the token of this request belongs to.

    Attributes
    ----------
    scopes
        What may be done with this token: never more than the role allows.
    single
        Nobody else uses this gateway: a front end need not speak of people.
    """

    name: str
    role: Role
    scopes: list[Scope]
    single: bool


class User(Answer):
    """A person who may use the gateway."""

    name: str
    role: Role
    created_at: Time | None = Field(description="None for the account that runs the gateway.")
    disabled_at: Time | None = None
    runs_gateway: bool = Field(default=False, description="The account that the gateway runs as: always an admin.")


class UserPage(Answer):
    """All people."""

    items: list[User]
    next_cursor: str | None = None


class NewUser(Model):
    """`POST /users`."""

    name: PersonName
    role: Role = Role.USER


class UserChange(Model):
    """`PATCH /users/{name}`: only what stands in it is changed."""

    role: Role | None = None
    disabled: bool | None = Field(default=None, description="A disabled person's tokens open nothing.")


class Token(Answer):
    """A token, without its secret."""

    id: str
    person: str
    label: str
    scopes: list[Scope]
    created_at: Time
    expires_at: Time | None = None
    revoked_at: Time | None = None
    used_at: Time | None = Field(default=None, description="Kept to the minute.")


class NewlyMadeToken(Token):
    """A token that was just made: the only answer that holds its secret."""

    secret: str


class TokenPage(Answer):
    """Tokens, newest first."""

    items: list[Token]
    next_cursor: str | None = None


class NewToken(Model):
    """`POST /tokens`."""

    label: Label = ""
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=3)] | None = Field(
        default=None, description="None: what the token of this request allows, as far as the person's role does."
    )
    expires_at: Time | None = Field(default=None, description="None: as the token of this request.")
    person: PersonName | None = Field(default=None, description="Whose token; another's: admins only.")


class AuditEntry(Answer):
    """One request that could change something."""

    id: int
    at: Time
    person: str = Field(description="'-' where no valid token came with the request.")
    token: str | None = Field(default=None, description="None: the gateway's own token.")
    request: str = Field(description="As `X-Request-ID` and the log have it.")
    action: str
    method: str
    path: str
    owner: str | None = None
    status: int


class AuditPage(Answer):
    """A page of the audit log, newest first."""

    items: list[AuditEntry]
    next_cursor: str | None = None
