"""What a route is: one method at one address."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from pydantic import BaseModel

from gateway.api.messages import JSON, Query, Reply, Request
from gateway.app import Gateway

Function = Callable[[Gateway, Request], Awaitable[Reply | BaseModel]]


class Permission(StrEnum):
    """What a request needs: nothing, or the right to read, to change what is one's own, or to administer."""

    PUBLIC = "public"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True)
class Route:
    """One method at one address.

    Attributes
    ----------
    path
        ``{name}`` is one part of the address; ``{name:path}`` all that follows.
    status
        Of the answer when all went well.
    media_types
        Of that answer; with `response_model` the first is JSON.
    also
        Other good answers: status and meaning.
    headers, sends
        Headers of the request that the function reads, and of a good answer: name and meaning.
    request_types, body_needed
        Media types of the body, with `request_model`; whether there must be one.
    streams_body
        Whether the function reads the body itself, as it comes (`Request.stream`): bytes of any length.
    """

    method: str
    path: str
    function: Function
    permission: Permission
    summary: str
    query: type[Query] = Query
    request_model: type[BaseModel] | None = None
    response_model: type[BaseModel] | None = None
    status: int = 200
    media_types: tuple[str, ...] = (JSON,)
    also: tuple[tuple[int, str], ...] = ()
    streams_body: bool = False
    request_types: tuple[str, ...] = (JSON,)
    body_needed: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    sends: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Name of the operation."""
        return self.function.__name__

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parts of the address."""
        return tuple(re.findall(r"\{([a-z_]+)(?::path)?\}", self.path))

    @property
    def pattern(self) -> str:
        """Regular expression of the address."""
        parts = re.split(r"(\{[a-z_]+(?::path)?\})", self.path)
        return "".join(
            re.escape(part) if not part.startswith("{") else "(.+)" if part.endswith(":path}") else "([^/]+)"
            for part in parts
        )

    @property
    def template(self) -> str:
        """The address as OpenAPI writes it."""
        return self.path.replace(":path}", "}")


PUBLIC, READ, WRITE, ADMIN = Permission.PUBLIC, Permission.READ, Permission.WRITE, Permission.ADMIN
TEXT = ("text/plain",)
