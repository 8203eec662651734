"""Requests and replies as the functions behind the routes see them: free of any web server."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from gateway.errors import FieldError, GatewayError, InvalidRequest, TooManyRequests
from gateway.model.job import PROBLEM_PREFIX
from gateway.model.people import Person

JSON = "application/json"
PROBLEM = "application/problem+json"
MAX_DEPTH = 64
"""Levels of objects and lists in a body."""


class Malformed(GatewayError):
    """The body is not JSON."""

    status, problem, title = 400, "malformed", "The request cannot be read"


class MethodNotAllowed(GatewayError):
    """The address is right, the method is not."""

    status, problem, title = 405, "method-not-allowed", "The method is not allowed here"


class UnsupportedMediaType(GatewayError):
    """The body is of a type that the gateway does not read."""

    status, problem, title = 415, "media-type", "The body's type is not supported"


class Misdirected(GatewayError):
    """The request was meant for another host."""

    status, problem, title = 421, "misdirected", "This is not that host"


class Query(BaseModel):
    """Base of query parameters: unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes
    ----------
    path
        The parts of the address that the route names, decoded.
    query
        The route's own model of the query parameters.
    body
        What the JSON body holds; None without one.
    headers
        By lower-case names.
    owner
        Whose jobs are meant: the person's own, unless an admin asks about another's.
    person
        Who asks.
    stream
        The body as it comes, for routes with `Route.streams_body`; else None.
    """

    method: str
    path: Mapping[str, str]
    query: Any
    body: Any
    headers: Mapping[str, str]
    owner: str
    person: Person
    stream: AsyncIterable[bytes] | None = None

    @property
    def version(self) -> int | None:
        """The version of the thing that ``If-Match`` asks for; None without one.

        Raises
        ------
        InvalidRequest
            It is not the ETag of a job.
        """
        text = self.headers.get("if-match")
        if text is None or text.strip() == "*":
            return None
        number = text.strip().strip('"')
        if not number.isascii() or not number.isdigit() or len(number) > 9:
            detail = 'If-Match must be the ETag of the job, such as "3"'
            raise InvalidRequest([FieldError("#", detail)], detail)
        return int(number)


@dataclass(frozen=True)
class Reply:
    """An answer: bytes, or pieces that are sent as they come."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | AsyncIterator[bytes] = b""


def json_reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an answer in JSON; models are written with all their fields."""
    if isinstance(content, BaseModel):
        data = content.model_dump_json().encode()
    else:
        data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(status, {"Content-Type": JSON, **(headers or {})}, data)


def problem_reply(error: GatewayError) -> Reply:
    """Return the problem document (RFC 9457) of an error."""
    content: dict[str, Any] = {
        "type": PROBLEM_PREFIX + error.problem,
        "title": error.title,
        "status": error.status,
        "detail": error.message,
    }
    if isinstance(error, InvalidRequest):
        content["errors"] = [{"pointer": item.pointer, "detail": item.detail} for item in error.errors]
    if error.hint:
        content["hint"] = error.hint
    headers = {"Content-Type": PROBLEM, "Cache-Control": "no-store"}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="science-gateway"'
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after)
    if error.status == 503:
        headers["Retry-After"] = "5"
    data = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    return Reply(error.status, headers, data)


def parse_json(data: bytes) -> Any:
    """Parse a body.

    Raises
    ------
    Malformed
        It is not JSON, has a key twice, or words that JSON does not have (NaN …).
    """
    try:
        found = json.loads(
            data.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_float, object_pairs_hook=_object
        )
        _check_depth(found)
        return found
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from None


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise RecursionError


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _float(text: str) -> float:
    found = float(text)
    if math.isinf(found):
        raise ValueError("a number is too large")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
